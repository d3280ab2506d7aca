--[[ cancel_job
  Let a job that waits fail as cancelled. For one that runs, leave a mark and tell its worker. What somebody cancelled
  does not become a dead letter.

  ARGV[3] id
  ARGV[4] reason  str
  Returns 0 it has failed | 1 its worker is told | 2 it has finished before | -1 no such job
  Cost O(1), plus O(active), plus O(waiting) for an unprioritised job that waits
]]
-- @include keys clock chunks place debounce keep metrics finish policy
local id, reason = ARGV[3], ARGV[4]
local key = base .. id
if call('EXISTS', key) == 0 then return -1 end
if call('ZSCORE', k_completed, id) or call('ZSCORE', k_failed, id) then return 2 end
if call('LPOS', k_active, id) then
  call('HSET', k_cancelled, id, now)
  call('PUBLISH', base .. 'toril:cancel', id)
  return 1
end
local list = target_list()
keep_edge(list, {[id] = true})
if call('ZREM', k_delayed, id) + call('ZREM', k_overflow, id) == 0 then
  local from_head = call('ZREM', k_priority, id) == 1 and -1 or 0
  call('LREM', k_wait, from_head, id)
  call('LREM', k_paused, from_head, id)
end
call('ZREM', k_priority, id)
forget_edge()
local parked = call('HGET', k_limiter_index, id)
if parked then
  call('SREM', parked, id)
  call('HDEL', k_limiter_index, id)
end
local fields = call('HMGET', key, 'opts', 'deid')
end_debounce(fields[2])
local count, age = stored_policy(fields[1], 'removeOnFail')
finish(k_failed, id, 'failedReason', reason, count, age)
flush_finished()
call('PUBLISH', base .. 'failed', '{"jobId":' .. cjson.encode(id) .. ',"val":' .. cjson.encode(reason) .. '}')
return 0
