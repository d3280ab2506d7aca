--[[ cancel_job
  Let a job that waits fail as cancelled. For one that runs, leave a mark and tell its worker. What somebody cancelled
  does not become a dead letter.

  ARGV[3] id
  ARGV[4] reason  str
  Returns 0 it has failed | 1 its worker is told | 2 it has finished before | -1 no such job
  Cost O(1), plus O(active), plus O(waiting) for an unprioritised job that waits
]]
-- @include keys clock chunks undo rows place debounce keep policy
local id, reason = ARGV[3], ARGV[4]
local key = base .. id
if call('EXISTS', key) == 0 then return -1 end
if call('ZSCORE', k_completed, id) or call('ZSCORE', k_failed, id) then return 2 end
if call('LPOS', k_active, id) then
  call('HSET', k_cancelled, id, now)
  publish(base .. 'toril:cancel', id)
  return 1
end
return whole(function()
  local fields = call('HMGET', key, 'opts', 'deid')
  local count, age = stored_policy(fields[1], 'removeOnFail')
  local parked = call('HGET', k_limiter_index, id)
  placing().keep_edge(target_list(), {[id] = true})
  if count ~= 0 then
    call('HSET', key, 'failedReason', reason, 'finishedOn', now)
    undo('HDEL', key, 'failedReason', 'finishedOn')
    call('ZADD', k_failed, now, id)
    undo('ZREM', k_failed, id)
  end
  local from_head = call('ZSCORE', k_priority, id) and -1 or 0
  local planned = false
  for _, set in ipairs({k_delayed, k_overflow, k_priority}) do
    local score = call('ZSCORE', set, id)
    if score then
      call('ZREM', set, id)
      undo('ZADD', set, score, id)
      planned = planned or set ~= k_priority
    end
  end
  if not planned then
    for _, list in ipairs({k_wait, k_paused}) do
      if call('LREM', list, from_head, id) > 0 then undo('RPUSH', list, id) end
    end
  end
  if parked then
    call('SREM', parked, id)
    call('HDEL', k_limiter_index, id)
  end
  end_debounce(fields[2])
  if count == 0 then call('DEL', key, key .. ':logs') end
  -- It has failed; what is left over is done by the next that comes along.
  pcall(placing().forget_edge)
  if count > 0 or age >= 0 then pcall(trim, k_failed, count, age) end
  publish(base .. 'failed', '{"jobId":' .. cjson.encode(id) .. ',"val":' .. cjson.encode(reason) .. '}')
  return 0
end)
