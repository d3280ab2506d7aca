--[[ remove_schedule
  End a schedule and take away its next run, unless that is running already.

  ARGV[3] key     str  of the schedule
  ARGV[4] prefix  str  how the ids of its runs start as far as the key tells
  Returns {1 removed or 0 there was none, id of the run that was taken away or ''}
  Cost O(log N), O(waiting) if the run is due and waits for a worker
]]
-- @include keys clock chunks undo rows place discard schedule
local key = ARGV[3]
local score = call('ZSCORE', k_repeat, key)
local _, prefix = remembered(key)
if not score then
  call('HDEL', k_schedules, key)
  return {0, ''}
end
return whole(function()
  local id = (prefix or ARGV[4]) .. text_of(number(score) or 0)
  local hash = base .. id
  local kept = call('HGET', k_schedules, key)
  if kept then undo('HSET', k_schedules, key, kept) end
  call('HDEL', k_schedules, key)
  undo('ZADD', k_repeat, score, key)
  call('ZREM', k_repeat, key)
  local found = 0
  for _, set in ipairs({k_delayed, k_overflow}) do
    local place_there = call('ZSCORE', set, id)
    if place_there then
      undo('ZADD', set, place_there, id)
      found = found + call('ZREM', set, id)
    end
  end
  if found == 0 and call('EXISTS', hash) == 1 and call('EXISTS', hash .. ':lock') == 0 and
    call('HEXISTS', hash, 'finishedOn') == 0 then
    placing().keep_edge(target_list(), {[id] = true})
    for _, list in ipairs({k_wait, k_paused}) do
      if call('LREM', list, 0, id) > 0 then
        undo('RPUSH', list, id)
        found = found + 1
      end
    end
  end
  if found == 0 then return {1, ''} end
  call('ZREM', k_priority, id)
  discard({id})
  return {1, id}
end)
