--[[ renew_locks
  Renew all of a worker's locks, tell which are lost and which jobs somebody wants cancelled.

  ARGV[3] lock_ms  ms   new life of each lock
  ARGV[4…] ids     str  jobs the worker runs
  Returns {ids whose lock is lost, ids to cancel}
  Cost O(number of ids)
]]
-- @include keys
local lock_ms = ARGV[3]
local lost, cancelled = {}, {}
local anything = redis.call('EXISTS', k_cancelled) == 1
for i = 4, #ARGV do
  local id = ARGV[i]
  local lock = base .. id .. ':lock'
  if redis.call('GET', lock) == token then
    redis.call('PEXPIRE', lock, lock_ms)
    redis.call('SREM', k_stalled, id)
  else
    lost[#lost + 1] = id
  end
  if anything and redis.call('HEXISTS', k_cancelled, id) == 1 then cancelled[#cancelled + 1] = id end
end
return {lost, cancelled}
