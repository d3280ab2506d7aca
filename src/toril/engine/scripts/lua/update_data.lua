--[[ update_data
  Replace a job's data, in whatever state it is.

  ARGV[3] id
  ARGV[4] data  JSON
  Returns 0 | -1 no such job
  Cost O(1)
]]
-- @include keys
if call('EXISTS', base .. ARGV[3]) == 0 then return -1 end
call('HSET', base .. ARGV[3], 'data', ARGV[4])
return 0
