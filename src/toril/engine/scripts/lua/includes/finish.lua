--[[ finish
  What an ended attempt leaves behind. Lock check, then removal from active; codes as Bull's:
    0 done | -1 no such job | -2 the lock is gone | -3 not in active | -6 somebody else's lock
  An attempt whose lock ran out while nobody else started the job may end all the same: see fence.

  Locks and stalled marks of a batch are dropped together by settle_locks(), which spares those of unfinished.
  needs keys, clock, fence, chunks, undo, keep
]]
local locks, shown_life, unfinished = {}, {}, nil
--
-- Where the job was deleted by hand while it ran, what the attempt leaves behind goes: its place would be taken for one of
-- the next job of that id.
local function leave_without_job(id, fence, code)
  local lock = base .. id .. ':lock'
  local holder = call('GET', lock)
  if holder == fence then call('DEL', lock) end
  if holder == fence or not holder and code == -1 then call('LREM', k_active, -1, id) end
  return code
end
local function leave_active(id, fence)
  local key = base .. id
  local lock = key .. ':lock'
  local started = call('HGET', key, 'processedOn')
  local held = started and call('GET', lock) == fence and 0 or holding(id, fence)
  if held < 0 then return started and held or leave_without_job(id, fence, held) end
  if held == 1 and call('LPOS', k_active, id) == false then return -2 end
  -- Active is a list, so this is a walk, O(active) at worst, as in Bull. It begins at the right end, where the oldest are:
  -- they tend to finish first, and no worker has more in there than it has slots.
  local left = call('LREM', k_active, -1, id)
  local n = #locks + 1
  locks[n], shown_life[n] = lock, id
  return left == 0 and -3 or 0
end
-- What could not be recorded: the job is in active again, under its lock, and its outcome can be sent again.
local function back_to_active(id)
  unfinished = unfinished or {}
  unfinished[id] = true
  try('HDEL', base .. id, 'finishedOn')
  try('RPUSH', k_active, id)
end
local function settle_locks()
  if unfinished then
    local left, shown = {}, {}
    for i, id in ipairs(shown_life) do
      if not unfinished[id] then left[#left + 1], shown[#shown + 1] = locks[i], id end
    end
    locks, shown_life = left, shown
  end
  if #locks == 0 then return end
  -- A lock that stays runs out by itself.
  pcall(delete_all, locks)
  pcall(in_chunks, 'SREM', k_stalled, shown_life)
end

-- Finished jobs wait here until the policy changes; equal policies are applied once for the batch. Messages about
-- them go out when they are where the messages say. `steps` take back what else was done for them; each job is
-- finished within an attempt of its own.
local pending, not_finished
local function flush_finished()
  local batch = pending
  if not batch then return end
  pending = nil
  local well, trouble = pcall(in_chunks, 'ZADD', batch.set, batch.scored)
  if not well then
    local ids = {}
    for i = 2, #batch.scored, 2 do
      ids[#ids + 1] = batch.scored[i]
      back_to_active(batch.scored[i])
    end
    pcall(in_chunks, 'ZREM', batch.set, ids)
    take_back(batch.steps, 0)
    not_finished = trouble
    return
  end
  for i = 1, #batch.told, 2 do publish(batch.told[i], batch.told[i + 1]) end
  -- What a policy leaves too long is removed when the next job finishes.
  local count, age = number(batch.count) or -1, number(batch.age) or -1
  if count > 0 or age >= 0 then pcall(trim, batch.set, count, age) end
end
-- `count` and `age` are numbers or their texts, as keep wants them.
local function finish(set, id, field, value, count, age, channel, message)
  local key = base .. id
  if count == '0' or count == 0 then
    call('DEL', key, key .. ':logs')
    publish(channel, message)
    return
  end
  call('HSET', key, field, value, 'finishedOn', now_text)
  local batch = pending
  if not batch or batch.set ~= set or batch.count ~= count or batch.age ~= age or #batch.scored >= 4000 then
    flush_finished()
    batch = {set = set, count = count, age = age, scored = {}, told = {}, steps = {}}
    pending = batch
  end
  local scored, told = batch.scored, batch.told
  local n = #scored
  scored[n + 1], scored[n + 2], told[n + 1], told[n + 2] = now_text, id, channel, message
  for i = 1, #steps do batch.steps[#batch.steps + 1] = steps[i] end
end
