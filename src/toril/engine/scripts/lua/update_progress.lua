--[[ update_progress
  Store a job's progress and tell who listens.

  ARGV[3] id
  ARGV[4] progress  JSON
  ARGV[5] fence     of the attempt that calls, '' for anybody else: see includes/fence.lua
  Returns 0 | -1 no such job | -2, -6 the attempt has lost the job, as in includes/fence.lua; then nothing is stored
  Cost O(1)
]]
-- @include keys clock fence
local id, progress, fence = ARGV[3], ARGV[4], ARGV[5]
if call('EXISTS', base .. id) == 0 then return -1 end
local held = fence == '' and 0 or holding(id, fence)
if held < 0 then return held end
call('HSET', base .. id, 'progress', progress)
publish(base .. 'progress', '{"jobId":' .. cjson.encode(id) .. ',"progress":' .. progress .. '}')
return 0
