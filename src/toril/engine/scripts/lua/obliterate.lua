--[[ obliterate
  Delete a paused queue's jobs, a step; after the last ones go the queue's own keys. What is named after jobs,
  groups or debounce ids that are gone is left to the caller to find.

  ARGV[3] force  0/1  1: even if jobs are active
  ARGV[4] count  int  most jobs in this step
  Returns jobs deleted (call again until 0) | -1 the queue is not paused | -2 jobs are active
  Cost O(log N) for each job
]]
-- @include keys clock chunks discard
local count = number(ARGV[4])
if call('EXISTS', k_meta_paused) == 0 then return -1 end
if ARGV[3] ~= '1' and call('LLEN', k_active) > 0 then return -2 end
local deleted = 0
-- The places last: ids without jobs are found again by whoever comes after a failure, jobs without places are not.
for _, list in ipairs({k_active, k_wait, k_paused}) do
  local ids = deleted < count and call('LRANGE', list, deleted - count, -1) or {}
  if #ids > 0 then
    discard(ids)
    call('LTRIM', list, 0, -#ids - 1)
    deleted = deleted + #ids
  end
end
for _, set in ipairs({k_overflow, k_delayed, k_failed, k_completed}) do
  local ids = deleted < count and call('ZRANGE', set, 0, count - deleted - 1) or {}
  if #ids > 0 then
    discard(ids)
    call('ZREMRANGEBYRANK', set, 0, #ids - 1)
    deleted = deleted + #ids
  end
end
if deleted == 0 then delete_all(KEYS) end
return deleted
