--[[ remove_schedule
  End a schedule and take away its next run, unless that is running already.

  ARGV[3] key     str  of the schedule
  ARGV[4] prefix  str  how the ids of its runs start as far as the key tells
  Returns {1 removed or 0 there was none, id of the run that was taken away or ''}
  Cost O(log N), O(waiting) if the run is due and waits for a worker
]]
-- @include keys clock schedule
local key = ARGV[3]
local score = redis.call('ZSCORE', k_repeat, key)
local _, prefix = remembered(key)
redis.call('HDEL', k_schedules, key)
if not score then return {0, ''} end
redis.call('ZREM', k_repeat, key)
local id = (prefix or ARGV[4]) .. text_of(tonumber(score))
local hash = base .. id
local found = redis.call('ZREM', k_delayed, id)
if found == 0 and redis.call('EXISTS', hash) == 1 and redis.call('EXISTS', hash .. ':lock') == 0 and
  redis.call('HEXISTS', hash, 'finishedOn') == 0 then
  found = redis.call('LREM', k_wait, 0, id) + redis.call('LREM', k_paused, 0, id) + redis.call('ZREM', k_overflow, id)
end
if found == 0 then return {1, ''} end
redis.call('ZREM', k_priority, id)
local parked = redis.call('HGET', k_limiter_index, id)
if parked then
  redis.call('SREM', parked, id)
  redis.call('HDEL', k_limiter_index, id)
end
redis.call('DEL', hash, hash .. ':logs')
return {1, id}
