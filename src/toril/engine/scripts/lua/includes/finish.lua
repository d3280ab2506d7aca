--[[ finish
  What an ended attempt leaves behind. Lock check, then removal from active; codes as Bull's:
    0 done | -1 no such job | -2 the lock is gone | -3 not in active | -6 somebody else's lock
  An attempt whose lock ran out while nobody else started the job may end all the same: see fence.

  Locks and stalled marks of a batch are dropped together by settle_locks().
  needs keys, clock, fence, chunks, place, keep, debounce, metrics
]]
local locks, shown_life = {}, {}
local function leave_active(id, fence)
  local key = base .. id
  if call('EXISTS', key) == 0 then return -1 end
  local held = holding(id, fence)
  if held < 0 then return held end
  if held == 1 and call('LPOS', k_active, id) == false then return -2 end
  locks[#locks + 1] = key .. ':lock'
  shown_life[#shown_life + 1] = id
  -- The oldest are at the right end, and they tend to finish first.
  if call('LREM', k_active, -1, id) == 0 then return -3 end
  return 0
end
local function settle_locks()
  if #locks == 0 then return end
  delete_all(locks)
  in_chunks('SREM', k_stalled, shown_life)
end

-- Finished jobs wait here until the policy changes; equal policies are applied once for the batch.
local pending = {}
local function flush_finished()
  if not pending.set then return end
  in_chunks('ZADD', pending.set, pending.scored)
  if pending.count > 0 or pending.age >= 0 then trim(pending.set, pending.count, pending.age) end
  pending = {}
end
local function finish(set, id, field, value, count, age)
  local key = base .. id
  if count == 0 then
    call('DEL', key, key .. ':logs')
    return
  end
  call('HSET', key, field, value, 'finishedOn', now)
  if pending.set ~= set or pending.count ~= count or pending.age ~= age or #pending.scored >= 4000 then
    flush_finished()
    pending = {set = set, count = count, age = age, scored = {}}
  end
  local scored = pending.scored
  scored[#scored + 1] = now
  scored[#scored + 1] = id
end
local function save_attempt(id, reason, stacktrace, attempts)
  call('HSET', base .. id, 'failedReason', reason, 'stacktrace', stacktrace, 'attemptsMade', attempts)
end
