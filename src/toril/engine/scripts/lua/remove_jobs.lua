--[[ remove_jobs
  Delete jobs with all that is kept of them, wherever they are. Those a worker holds stay.

  ARGV[3] where   str  wait or paused: the jobs are in this list between two places; '' where is not known;
                       'everywhere' looks in every place, even when the job was found already
  ARGV[4] first   int  first and last place in the list, 0 is the head
  ARGV[5] last    int
  ARGV[6…] ids    str
  Returns {ids removed, ids held, how many of the removed were there as jobs}
  Cost O(log N) for each job, plus one walk over the list up to `last`; O(waiting) for each waiting job without place
]]
-- @include keys clock chunks undo rows place discard
local where, first, last = ARGV[3], number(ARGV[4]), number(ARGV[5])
local removed, held, wanted, there = {}, {}, {}, 0
for i = 6, #ARGV do
  local id = ARGV[i]
  if call('EXISTS', base .. id .. ':lock') == 1 then
    held[#held + 1] = id
  else
    removed[#removed + 1] = id
    wanted[id] = true
    there = there + call('EXISTS', base .. id)
  end
end
if #removed == 0 then return {removed, held, 0} end
need_no_memory()
local list = target_list()
placing().keep_edge(list, wanted)
if where == 'wait' or where == 'paused' then
  for _, id in ipairs(rows().strike(where == 'wait' and k_wait or k_paused, first, last, wanted)) do wanted[id] = nil end
end
for id in pairs(wanted) do
  local found = call('ZREM', k_completed, id) + call('ZREM', k_failed, id) + call('ZREM', k_delayed, id) +
    call('ZREM', k_overflow, id)
  if found == 0 or where == 'everywhere' then found = found + call('LREM', k_active, 0, id) end
  if found == 0 or where == 'everywhere' then
    local from_head = call('ZSCORE', k_priority, id) and where ~= 'everywhere'
    call('LREM', k_wait, from_head and -1 or 0, id)
    call('LREM', k_paused, from_head and -1 or 0, id)
  end
end
in_chunks('ZREM', k_priority, removed)
placing().forget_edge()
discard(removed)
return {removed, held, there}
