--[[ add_log
  Add a row to a job's log.

  ARGV[3] id
  ARGV[4] row   str
  ARGV[5] keep  int  newest rows that stay, 0 for all
  Returns number of rows | -1 no such job
  Cost O(1)
]]
-- @include keys
local id, keep = ARGV[3], tonumber(ARGV[5])
if call('EXISTS', base .. id) == 0 then return -1 end
local rows = call('RPUSH', base .. id .. ':logs', ARGV[4])
if keep > 0 and rows > keep then
  call('LTRIM', base .. id .. ':logs', -keep, -1)
  return keep
end
return rows
