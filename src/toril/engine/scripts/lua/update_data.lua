--[[ update_data
  Replace a job's data, in whatever state it is, or only while it has not ended.

  ARGV[3] id
  ARGV[4] data  JSON
  ARGV[5] fence  of the attempt that calls, '' for anybody else: see includes/fence.lua
  ARGV[6] open   1 to leave a job alone that has ended; 0
  Returns 0 | -1 no such job | -3 it has ended | -2, -6 the attempt has lost the job, as in includes/fence.lua
  Cost O(1)
]]
-- @include keys clock fence
if call('EXISTS', base .. ARGV[3]) == 0 then return -1 end
local held = ARGV[5] == '' and 0 or holding(ARGV[3], ARGV[5])
if held < 0 then return held end
if ARGV[6] == '1' and (call('ZSCORE', k_completed, ARGV[3]) or call('ZSCORE', k_failed, ARGV[3])) then return -3 end
call('HSET', base .. ARGV[3], 'data', ARGV[4])
return 0
