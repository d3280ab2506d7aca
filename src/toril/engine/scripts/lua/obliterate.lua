--[[ obliterate
  Delete a paused queue's jobs, a step; after the last ones go the queue's own keys. What is named after jobs,
  groups or debounce ids that are gone is left to the caller to find.

  ARGV[3] force  0/1  1: even if jobs are active
  ARGV[4] count  int  most jobs in this step
  Returns jobs deleted (call again until 0) | -1 the queue is not paused | -2 jobs are active
  Cost O(log N) for each job
]]
-- @include keys clock chunks place discard
local count = tonumber(ARGV[4])
if call('EXISTS', k_meta_paused) == 0 then return -1 end
if ARGV[3] ~= '1' and call('LLEN', k_active) > 0 then return -2 end
local victims = {}
for _, list in ipairs({k_active, k_wait, k_paused}) do
  local left = count - #victims
  local ids = left > 0 and call('RPOP', list, left) or {}
  for _, id in ipairs(ids) do victims[#victims + 1] = id end
end
for _, set in ipairs({k_overflow, k_delayed, k_failed, k_completed}) do
  local left = count - #victims
  local popped = left > 0 and call('ZPOPMIN', set, left) or {}
  for i = 1, #popped, 2 do victims[#victims + 1] = popped[i] end
end
if #victims > 0 then
  discard(victims)
  return #victims
end
delete_all(KEYS)
return 0
