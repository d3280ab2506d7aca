--[[ clean_list
  Delete jobs from a list, a step from the head on. Kept are jobs that a worker holds and next runs of schedules.

  ARGV[3] list   str  wait | paused | active
  ARGV[4] after  str  the id behind which to go on, '' for the head
  ARGV[5] count  int  how many to look at
  ARGV[6] grace  ms   only jobs whose time (finished, else started, else created) is at least that long ago; ''
                      for all, held or not
  ARGV[7] most   int  how many to delete, 0 for any number
  Returns {ids deleted, the id behind which to go on, 1 if this was the end}
  Cost O(count), plus one walk over the list up to here
]]
-- @include keys clock chunks undo rows place discard armed old
local list = ARGV[3] == 'wait' and k_wait or ARGV[3] == 'paused' and k_paused or k_active
local after, count, grace, most = ARGV[4], number(ARGV[5]), ARGV[6], number(ARGV[7])
local first = 0
if after ~= '' then
  local at = call('LPOS', list, after, 'RANK', -1)
  if at then first = call('LLEN', list) - at end
end
local ids = call('LRANGE', list, -first - count, -first - 1)
local victims, wanted = {}, {}
for i = #ids, 1, -1 do
  if most > 0 and #victims >= most then break end
  local id = ids[i]
  if (grace == '' or (not is_held(id) and is_old(id, grace))) and not is_armed(id) then
    victims[#victims + 1] = id
    wanted[id] = true
  else
    after = id
  end
end
local done = #ids < count or (most > 0 and #victims >= most)
if #victims > 0 then
  need_no_memory()
  if list ~= k_active then placing().keep_edge(list, wanted) end
  -- The places last: ids without jobs are found again by whoever comes after a failure, jobs without places are not.
  discard(victims)
  in_chunks('ZREM', k_priority, victims)
  rows().strike(list, first, first + count - 1, wanted)
end
return {victims, after, done and 1 or 0}
