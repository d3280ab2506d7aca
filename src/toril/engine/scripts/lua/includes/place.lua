--[[ place
  Put a job id into wait or paused, in Bull's order, with the overflow for many prioritised jobs.

  Bull keeps prioritised ids in the list itself, the most urgent at the right end, and their priorities in the
  priority zset. An insertion walks the list, so it costs more the more jobs wait. Here only the most urgent
  ones, the window, are in the list; the rest is in the overflow zset, whose score is
  priority * 2^32 + a sequence that keeps the order among equals. Everything in the window comes before
  everything in the overflow. Node's workers see the window only, so the overflow is used while a Toril worker
  lives that refills the window, and goes back into the list when there is none (see restore).

  needs keys, clock
]]
local WINDOW, LOW_WATER, SPILL = 512, 128, 64
local STEP, MIDDLE, LOWEST = 4294967296, 2147483648, 2097151

-- The list new jobs belong in, and whether the queue is paused.
local function target_list()
  if redis.call('EXISTS', k_meta_paused) == 1 then return k_paused, true end
  return k_wait, false
end

local function worker_alive()
  local last = redis.call('ZREVRANGE', k_workers, 0, 0, 'WITHSCORES')
  return last[2] ~= nil and tonumber(last[2]) > now
end

-- Priority of the most urgent overflowed job, or nil.
local function overflow_first()
  local first = redis.call('ZRANGE', k_overflow, 0, 0, 'WITHSCORES')
  return first[2] and math.floor(tonumber(first[2]) / STEP)
end

local function to_overflow(id, priority, in_front)
  local low, high = priority * STEP, priority * STEP + STEP - 1
  local score = low + MIDDLE
  if in_front then
    local first = redis.call('ZRANGEBYSCORE', k_overflow, low, high, 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then score = math.max(low, tonumber(first[2]) - 1) end
  else
    local last = redis.call('ZREVRANGEBYSCORE', k_overflow, high, low, 'WITHSCORES', 'LIMIT', 0, 1)
    if last[2] then score = math.min(high, tonumber(last[2]) + 1) end
  end
  redis.call('ZADD', k_overflow, score, id)
end

-- Insert so that `before` elements stay to its right.
local function insert_at(list, id, before)
  if before <= 0 then
    redis.call('RPUSH', list, id)
  elseif before <= 1024 then
    local moved = redis.call('RPOP', list, before) or {}
    local back = {id}
    for i = #moved, 1, -1 do back[#back + 1] = moved[i] end
    redis.call('RPUSH', list, unpack(back))
  else
    -- Only when Node alone filled the list.
    local pivot = redis.call('LINDEX', list, redis.call('LLEN', list) - before)
    if pivot then redis.call('LINSERT', list, 'BEFORE', pivot, id) else redis.call('RPUSH', list, id) end
  end
end

local function into_list(list, id, priority, in_front)
  local before = redis.call('ZCOUNT', k_priority, 0, (in_front and '(' or '') .. priority)
  redis.call('ZADD', k_priority, priority, id)
  insert_at(list, id, before)
end

-- Move the least urgent of the window to the overflow. Stops when lifo jobs, which Bull mixes into the same
-- end of the list, make it unclear which one that is. `in_front` says on which side of its equals it goes.
local function spill(list, in_front)
  local size = redis.call('ZCARD', k_priority)
  local worst = redis.call('ZREVRANGE', k_priority, 0, 0, 'WITHSCORES')
  local last = redis.call('LINDEX', list, -size)
  if not last or redis.call('ZSCORE', k_priority, last) ~= worst[2] then return false end
  local behind = redis.call('LINDEX', list, -size - 1)
  if behind and redis.call('ZSCORE', k_priority, behind) then return false end
  local priority = tonumber(worst[2])
  if priority < 1 or priority > LOWEST or priority % 1 ~= 0 then return false end
  redis.call('LREM', list, -1, last)
  redis.call('ZREM', k_priority, last)
  to_overflow(last, priority, in_front)
  return true
end

-- Add a prioritised job; `in_front` puts it before its equals (a job handed back).
local function place_prioritised(list, id, priority, in_front)
  local first = overflow_first()
  local fits = priority >= 1 and priority <= LOWEST and priority % 1 == 0
  if first and fits then
    if priority > first or (priority == first and not in_front) then
      return to_overflow(id, priority, in_front)
    end
  elseif fits and redis.call('ZCARD', k_priority) >= WINDOW and worker_alive() then
    local worst = tonumber(redis.call('ZREVRANGE', k_priority, 0, 0, 'WITHSCORES')[2])
    if priority > worst or (priority == worst and not in_front) then
      return to_overflow(id, priority, in_front)
    end
  end
  into_list(list, id, priority, in_front)
  if redis.call('ZCARD', k_priority) > WINDOW and (first or worker_alive()) then spill(list, true) end
end

-- Keep the window filled, and Node's own additions in order; called by whatever takes jobs.
local function refill(list)
  local first = overflow_first()
  if not first then return end
  for _ = 1, SPILL do
    local worst = redis.call('ZREVRANGE', k_priority, 0, 0, 'WITHSCORES')
    if not worst[2] or tonumber(worst[2]) <= first or not spill(list, false) then break end
  end
  local size = redis.call('ZCARD', k_priority)
  if size >= LOW_WATER then return end
  local popped = redis.call('ZPOPMIN', k_overflow, WINDOW - size)
  local moved = size > 0 and redis.call('RPOP', list, size) or {}
  local back, scores = {}, {}
  for i = #popped - 1, 1, -2 do
    back[#back + 1] = popped[i]
    scores[#scores + 1] = math.floor(tonumber(popped[i + 1]) / STEP)
    scores[#scores + 1] = popped[i]
  end
  for i = #moved, 1, -1 do back[#back + 1] = moved[i] end
  redis.call('RPUSH', list, unpack(back))
  redis.call('ZADD', k_priority, unpack(scores))
end

-- Without a living Toril worker: put overflowed jobs back into the list, the least urgent first and behind the
-- window, at most `limit`. Returns how many are left. k_restored counts what was put back, which tells how much
-- of the list's prioritised part is the window.
local function restore(list, limit)
  local left = redis.call('ZCARD', k_overflow)
  if left == 0 then return 0 end
  local restored = tonumber(redis.call('GET', k_restored) or 0)
  local size = redis.call('ZCARD', k_priority)
  restored = math.min(restored, size)
  local window = math.min(size - restored, 1024)
  local popped = redis.call('ZPOPMAX', k_overflow, limit)
  local moved = window > 0 and redis.call('RPOP', list, window) or {}
  local back, scores = {}, {}
  for i = 1, #popped, 2 do
    back[#back + 1] = popped[i]
    scores[#scores + 1] = math.floor(tonumber(popped[i + 1]) / STEP)
    scores[#scores + 1] = popped[i]
  end
  for i = #moved, 1, -1 do back[#back + 1] = moved[i] end
  redis.call('RPUSH', list, unpack(back))
  redis.call('ZADD', k_priority, unpack(scores))
  left = left - #popped / 2
  if left == 0 then redis.call('DEL', k_restored) else redis.call('SET', k_restored, restored + #popped / 2) end
  return left
end

-- Back into the queue, where a job of this kind goes: retried, promoted or handed back.
local function place(list, id, priority, lifo, in_front)
  if priority ~= 0 then
    place_prioritised(list, id, priority, in_front)
  elseif lifo or in_front then
    redis.call('RPUSH', list, id)
  else
    redis.call('LPUSH', list, id)
  end
end
