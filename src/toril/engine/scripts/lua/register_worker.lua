--[[ register_worker
  A worker's heartbeat: while one lives, the overflow of prioritised jobs may be used.

  ARGV[3] life_ms  ms  how long it counts as living; 0 takes it off the list
  Returns overflowed jobs left in the overflow if no worker lives (call again until 0), else 0
  Cost O(log workers), plus a bounded step of restoring or refilling
]]
-- @include keys clock undo rows place
call('ZREMRANGEBYSCORE', k_workers, '-inf', now)
if ARGV[3] == '0' then
  call('ZREM', k_workers, token)
  if placing().worker_alive() then return 0 end
  local list = target_list()
  return placing().restore(list, 1000)
end
call('ZADD', k_workers, now + (number(ARGV[3]) or 0), token)
-- Node's workers may have emptied the window meanwhile.
local list = target_list()
placing().refill(list)
return 0
