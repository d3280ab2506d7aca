--[[ renew_locks
  Renew all of a worker's locks, tell which are lost and which jobs somebody wants cancelled.

  ARGV[3] lock_ms  ms   new life of each lock
  then for each job the worker runs its id, and the fence of the attempt: see includes/fence.lua
  Returns {ids whose lock is lost, ids to cancel}
  Cost O(number of ids); O(active) for each whose lock ran out
]]
-- @include keys clock fence
local lock_ms = ARGV[3]
local lost, cancelled = {}, {}
local anything = redis.call('EXISTS', k_cancelled) == 1
for i = 4, #ARGV, 2 do
  local id, fence = ARGV[i], ARGV[i + 1]
  local held = holding(id, fence)
  if held == 0 or (held == 1 and call('LPOS', k_active, id)) then
    -- First, as it takes no memory: see keys.
    call('SREM', k_stalled, id)
    -- SET rather than PEXPIRE: a lock that ran out while the server was away is given back.
    call('SET', base .. id .. ':lock', fence, 'PX', lock_ms)
  else
    lost[#lost + 1] = id
  end
  if anything and redis.call('HEXISTS', k_cancelled, id) == 1 then cancelled[#cancelled + 1] = id end
end
return {lost, cancelled}
