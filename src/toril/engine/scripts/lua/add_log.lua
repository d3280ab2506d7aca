--[[ add_log
  Add a row to a job's log.

  ARGV[3] id
  ARGV[4] row   str
  ARGV[5] keep  int  newest rows that stay, 0 for all
  ARGV[6] fence  of the attempt that calls, '' for anybody else: see includes/fence.lua
  Returns number of rows | -1 no such job | -2, -6 the attempt has lost the job, as in includes/fence.lua
  Cost O(1)
]]
-- @include keys clock fence
local id, keep, fence = ARGV[3], number(ARGV[5]), ARGV[6]
if call('EXISTS', base .. id) == 0 then return -1 end
local held = fence == '' and 0 or holding(id, fence)
if held < 0 then return held end
local rows = call('RPUSH', base .. id .. ':logs', ARGV[4])
if keep > 0 and rows > keep then
  -- The row is there: one too many goes with the next.
  try('LTRIM', base .. id .. ':logs', -keep, -1)
  return keep
end
return rows
