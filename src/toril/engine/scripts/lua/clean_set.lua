--[[ clean_set
  Delete jobs from a sorted set, a step. Kept are jobs that a worker holds and next runs of schedules.

  ARGV[3] set    str  completed | failed | delayed | overflow
  ARGV[4] kept   int  how many at the beginning were looked at and kept
  ARGV[5] count  int  how many to look at
  ARGV[6] grace  ms   see clean_list
  ARGV[7] most   int  how many to delete, 0 for any number
  Returns {ids deleted, how many at the beginning were kept, 1 if this was the end}
  Cost O(log N + count)
]]
-- @include keys clock chunks undo rows place discard armed old
local sets = {completed = k_completed, failed = k_failed, delayed = k_delayed, overflow = k_overflow}
local set, kept, count, grace, most = sets[ARGV[3]], number(ARGV[4]), number(ARGV[5]), ARGV[6], number(ARGV[7])
local finished = set == k_completed or set == k_failed
local ids
if grace ~= '' and finished then
  -- Their score is the time they finished, so the others need not be looked at.
  ids = call('ZRANGEBYSCORE', set, '-inf', text_of(now - (number(grace) or 0)), 'LIMIT', kept, count)
else
  ids = call('ZRANGE', set, kept, kept + count - 1)
end
local victims = {}
for _, id in ipairs(ids) do
  if most > 0 and #victims >= most then break end
  if (grace == '' or (not is_held(id) and (finished or is_old(id, grace)))) and not is_armed(id) then
    victims[#victims + 1] = id
  else
    kept = kept + 1
  end
end
if #victims > 0 then
  discard(victims)
  in_chunks('ZREM', set, victims)
  placing().forget_edge()
end
local done = #ids < count or (most > 0 and #victims >= most)
return {victims, kept, done and 1 or 0}
