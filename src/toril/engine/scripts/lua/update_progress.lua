--[[ update_progress
  Store a job's progress and tell who listens.

  ARGV[3] id
  ARGV[4] progress  JSON
  Returns 0 | -1 no such job
  Cost O(1)
]]
-- @include keys
local id, progress = ARGV[3], ARGV[4]
if call('EXISTS', base .. id) == 0 then return -1 end
call('HSET', base .. id, 'progress', progress)
call('PUBLISH', base .. 'progress', '{"jobId":' .. cjson.encode(id) .. ',"progress":' .. progress .. '}')
return 0
