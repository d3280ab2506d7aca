--[[ remove_schedule
  End a schedule and take away its next run, unless that is running already.

  ARGV[3] key     str  of the schedule
  ARGV[4] prefix  str  how the ids of its runs start as far as the key tells
  Returns {1 removed or 0 there was none, id of the run that was taken away or ''}
  Cost O(log N), O(waiting) if the run is due and waits for a worker
]]
-- @include keys clock chunks place discard schedule
local key = ARGV[3]
local score = call('ZSCORE', k_repeat, key)
local _, prefix = remembered(key)
call('HDEL', k_schedules, key)
if not score then return {0, ''} end
call('ZREM', k_repeat, key)
local id = (prefix or ARGV[4]) .. text_of(tonumber(score))
local hash = base .. id
local found = call('ZREM', k_delayed, id) + call('ZREM', k_overflow, id)
if found == 0 and call('EXISTS', hash) == 1 and call('EXISTS', hash .. ':lock') == 0 and
  call('HEXISTS', hash, 'finishedOn') == 0 then
  keep_edge(target_list(), {[id] = true})
  found = call('LREM', k_wait, 0, id) + call('LREM', k_paused, 0, id)
end
if found == 0 then return {1, ''} end
call('ZREM', k_priority, id)
discard({id})
return {1, id}
