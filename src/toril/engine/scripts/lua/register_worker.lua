--[[ register_worker
  A worker's heartbeat: while one lives, the overflow of prioritised jobs may be used.

  ARGV[3] life_ms  ms   how long it counts as living; 0 takes it off the list
  ARGV[4] duties   0/1  1: it would do what one worker of the queue does for all of them, see <base>:toril:leader
  Returns with life_ms 1 if these duties are its own, else 0; without, overflowed jobs left in the overflow if no worker
    lives (call again until 0), else 0

  <base>:toril:leader  str  who has these duties: keeps them while it lives, then the next that asks has them
  Cost O(log workers), plus a bounded step of restoring or refilling
]]
-- @include keys clock undo rows place
call('ZREMRANGEBYSCORE', k_workers, '-inf', now)
local leader = base .. 'toril:leader'
if ARGV[3] == '0' then
  if call('GET', leader) == token then call('DEL', leader) end
  call('ZREM', k_workers, token)
  if placing().worker_alive() then return 0 end
  local list = target_list()
  return placing().restore(list, 1000)
end
call('ZADD', k_workers, now + (number(ARGV[3]) or 0), token)
local leads = 0
if ARGV[4] == '1' and (call('SET', leader, token, 'NX', 'PX', ARGV[3]) or call('GET', leader) == token) then
  call('PEXPIRE', leader, ARGV[3])
  leads = 1
end
-- Node's workers may have emptied the window meanwhile.
local list = target_list()
placing().refill(list)
return leads
