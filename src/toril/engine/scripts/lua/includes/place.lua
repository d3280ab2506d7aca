--[[ place
  Put a job id into wait or paused, in Bull's order, with the overflow for many prioritised jobs.

  Bull keeps prioritised ids in the list itself, the most urgent at the right end, and their priorities in the
  priority zset. An insertion walks the list, so it costs more the more jobs wait. Here only the most urgent
  ones, the window, are in the list; the rest is in the overflow zset, whose score is
  priority * 2^32 + a sequence that keeps the order among equals. Everything in the window comes before
  everything in the overflow, and that before the rest of the list. Node's workers see the list only, so the
  overflow is used while a Toril worker lives that refills the window, and goes back into the list when there is
  none (see restore).

  k_edge holds the id of the window's last job while anything is overflowed. Prioritised jobs behind it were put
  there by Node, which does not know of the overflow, or by restore. Once that job has been taken, so has the
  whole window.

  needs keys, clock
]]
local WINDOW, LOW_WATER, STEP_SIZE, NEAR = 512, 128, 500, 1024
local LEVEL, MIDDLE, LOWEST = 4294967296, 2147483648, 2097151

-- The list new jobs belong in, and whether the queue is paused.
local function target_list()
  if call('EXISTS', k_meta_paused) == 1 then return k_paused, true end
  return k_wait, false
end

local function worker_alive()
  local last = call('ZREVRANGE', k_workers, 0, 0, 'WITHSCORES')
  return last[2] ~= nil and tonumber(last[2]) > now
end

-- A priority as the overflow keeps it. Node takes any number; a fraction counts as the next whole one there.
local function level_of(priority)
  return math.max(1, math.min(LOWEST, math.ceil(priority)))
end

-- Level of the most (or the least) urgent overflowed job, or nil.
local function overflow_first()
  local first = call('ZRANGE', k_overflow, 0, 0, 'WITHSCORES')
  return first[2] and math.floor(tonumber(first[2]) / LEVEL)
end
local function overflow_last()
  local last = call('ZREVRANGE', k_overflow, 0, 0, 'WITHSCORES')
  return last[2] and math.floor(tonumber(last[2]) / LEVEL)
end

-- Behind its equals, or before them.
local function to_overflow(id, level, in_front)
  local low, high = level * LEVEL, level * LEVEL + LEVEL - 1
  local score = low + MIDDLE
  if in_front then
    local first = call('ZRANGEBYSCORE', k_overflow, low, high, 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then score = math.max(low, tonumber(first[2]) - 1) end
  else
    local last = call('ZREVRANGEBYSCORE', k_overflow, high, low, 'WITHSCORES', 'LIMIT', 0, 1)
    if last[2] then score = math.min(high, tonumber(last[2]) + 1) end
  end
  call('ZADD', k_overflow, score, id)
end

-- Priority of the job that has `before` jobs between itself and the head, if it is a prioritised one.
local function priority_at(list, before)
  local id = call('LINDEX', list, -before - 1)
  return id and tonumber(call('ZSCORE', k_priority, id) or nil)
end

-- Insert ids, the last to run first, so that `before` jobs stay between them and the head.
local function insert_at(list, ids, before)
  if before <= 0 then
    call('RPUSH', list, unpack(ids))
  elseif before <= NEAR then
    local moved = call('RPOP', list, before) or {}
    for i = #moved, 1, -1 do ids[#ids + 1] = moved[i] end
    call('RPUSH', list, unpack(ids))
  else
    local pivot = call('LINDEX', list, -before)
    for i = 1, #ids do
      if pivot then call('LINSERT', list, 'BEFORE', pivot, ids[i]) else call('LPUSH', list, ids[i]) end
    end
  end
end

-- Take out the ids between two places, counted from the head, that are keys of `wanted`. They are overwritten and
-- then removed, all with one walk over the list. Returns those found, in order.
local function strike(list, first, last, wanted)
  local ids, struck = call('LRANGE', list, -last - 1, -first - 1), {}
  for i = #ids, 1, -1 do
    if wanted[ids[i]] then
      struck[#struck + 1] = ids[i]
      call('LSET', list, i - #ids - first - 1, '')
    end
  end
  if #struck > 0 then
    local from_left = call('LLEN', list) - last - 1 < first
    call('LREM', list, from_left and #struck or -#struck, '')
  end
  return struck
end

-- How many jobs from the head on come before the overflow. Ids on their way to a worker are still in the
-- priority zset, and Bull mixes lifo jobs into the head of the list, so that a count alone may be off.
-- `strict`: equals of the first overflowed job that were put into the list later do not belong to it.
-- Returns the number, and whether k_edge is the last of them.
local function window_length(list, first, strict)
  local edge = call('GET', k_edge)
  local size = call('ZCARD', k_priority)
  if size == 0 then return 0, edge == '' end
  if edge and edge ~= '' then
    if call('LINDEX', list, -size) == edge then return size, true end
    if call('ZSCORE', k_priority, edge) then
      local at = call('LPOS', list, edge, 'RANK', -1, 'MAXLEN', size + NEAR)
      if at then return call('LLEN', list) - at, true end
    end
  end
  strict = strict or edge == ''
  local length = math.min(call('ZCOUNT', k_priority, '-inf', (strict and '(' or '') .. first), call('LLEN', list))
  local function belongs(before)
    local priority = priority_at(list, before)
    return priority and (priority < first or (priority == first and not strict))
  end
  while length > 0 and not belongs(length - 1) do length = length - 1 end
  while belongs(length) do length = length + 1 end
  return length, false
end

local function mark_edge(list, length)
  call('SET', k_edge, length > 0 and call('LINDEX', list, -length) or '')
end
-- To be called when jobs may have left the overflow.
local function forget_edge()
  if call('EXISTS', k_overflow) == 0 then call('DEL', k_edge) end
end

-- Before ids (keys of `wanted`) leave the list other than by their turn: the window may end with another job.
local function keep_edge(list, wanted)
  local edge = call('GET', k_edge)
  if not edge or not wanted[edge] then return end
  local length = window_length(list, overflow_first() or 0, false)
  repeat length = length - 1 until length <= 0 or not wanted[call('LINDEX', list, -length)]
  mark_edge(list, length)
end

-- Move jobs that wait in the list to the overflow, behind their equals or before them.
local function move_to_overflow(ids, in_front)
  local from, to, step = 1, #ids, 1
  if in_front then from, to, step = #ids, 1, -1 end
  for i = from, to, step do
    to_overflow(ids[i], level_of(tonumber(call('ZSCORE', k_priority, ids[i]))), in_front)
  end
  call('ZREM', k_priority, unpack(ids))
end

-- Move what Node put behind the window, or what was put back while no worker lived, to the overflow, where it
-- belongs behind its equals. A bounded step, first the jobs that come first. Returns the window's length.
local function settle(list, first)
  local length, known = window_length(list, first, false)
  if priority_at(list, length) then
    local behind = call('LRANGE', list, -length - STEP_SIZE, -length - 1)
    local scores = call('ZMSCORE', k_priority, unpack(behind))
    local count, wanted = 0, {}
    while count < #behind and scores[#behind - count] do
      wanted[behind[#behind - count]] = true
      count = count + 1
    end
    move_to_overflow(strike(list, length, length + count - 1, wanted), false)
  end
  if not known then mark_edge(list, length) end
  return length
end

-- Move the end of a window that has grown too long to the overflow, before its equals; a bounded step. Stops at
-- a lifo job: it is not for us to put that behind the overflow.
local function spill(list, length)
  local excess = math.min(length - WINDOW, STEP_SIZE)
  if excess <= 0 then return end
  local ids = call('LRANGE', list, -length, -length + excess)
  local scores = call('ZMSCORE', k_priority, unpack(ids))
  local count, wanted = 0, {}
  while count < excess and scores[count + 1] and scores[count + 2] do
    count = count + 1
    wanted[ids[count]] = true
  end
  if count == 0 then return end
  move_to_overflow(strike(list, length - count, length - 1, wanted), true)
  mark_edge(list, length - count)
end

-- Add a prioritised job; `in_front` puts it before its equals (a job handed back).
local settled = false
local function place_prioritised(list, id, priority, in_front)
  local level = level_of(priority)
  local first = overflow_first()
  local overflowed = first ~= nil
  local function goes_behind(other)
    return level > other or (level == other and not in_front)
  end
  local alive = false
  if first then
    alive = worker_alive()
    if alive and not settled then
      settle(list, first)
      settled = true
      first = overflow_first()
    end
    -- Without a worker the least urgent jobs are back in the list already, behind what is still overflowed.
    if goes_behind(first) and (alive or not goes_behind(overflow_last())) then
      return to_overflow(id, level, in_front)
    end
  elseif call('ZCARD', k_priority) >= WINDOW and worker_alive() then
    alive = true
    call('DEL', k_edge)
    first = tonumber(call('ZREVRANGE', k_priority, 0, 0, 'WITHSCORES')[2])
    local length = window_length(list, first, false)
    if length >= WINDOW and goes_behind(level_of(first)) then
      to_overflow(id, level, in_front)
      return mark_edge(list, length)
    end
  end
  local before = call('ZCOUNT', k_priority, 0, (in_front and '(' or '') .. priority)
  local length = overflowed and not goes_behind(first) and window_length(list, first, not alive)
  call('ZADD', k_priority, priority, id)
  insert_at(list, {id}, before)
  if length then
    if before >= length then
      call('SET', k_edge, id)
      length = before
    end
    length = length + 1
  elseif alive then
    length = window_length(list, first, false)
  end
  if alive then spill(list, length) end
end

-- Fill the window when it runs low, and put Node's own additions in order; for whatever takes jobs, and for the
-- heartbeat, since Node's workers empty the window too. Returns how many jobs come before the overflow, or nil if
-- nothing is overflowed.
local function refill(list)
  local first = overflow_first()
  if not first then return nil end
  local length = worker_alive() and settle(list, first) or window_length(list, first, true)
  if length >= LOW_WATER then return length end
  local popped = call('ZPOPMIN', k_overflow, WINDOW - length)
  local ids, scores = {}, {}
  for i = #popped - 1, 1, -2 do
    ids[#ids + 1] = popped[i]
    scores[#scores + 1] = math.floor(tonumber(popped[i + 1]) / LEVEL)
    scores[#scores + 1] = popped[i]
  end
  local filled = length + #ids
  insert_at(list, ids, length)
  call('ZADD', k_priority, unpack(scores))
  mark_edge(list, filled)
  forget_edge()
  return call('EXISTS', k_overflow) == 1 and filled or nil
end

-- Without a living Toril worker: put overflowed jobs back into the list, the least urgent first and right behind
-- the window, at most `limit`. Returns how many are left.
local function restore(list, limit)
  local first = overflow_first()
  if not first then return 0 end
  local length = window_length(list, first, true)
  -- Deep in the list each insertion walks it.
  local popped = call('ZPOPMAX', k_overflow, length > NEAR and math.min(limit, 20) or limit)
  local ids, scores = {}, {}
  for i = 1, #popped, 2 do
    ids[#ids + 1] = popped[i]
    scores[#scores + 1] = math.floor(tonumber(popped[i + 1]) / LEVEL)
    scores[#scores + 1] = popped[i]
  end
  insert_at(list, ids, length)
  call('ZADD', k_priority, unpack(scores))
  mark_edge(list, length)
  forget_edge()
  return call('ZCARD', k_overflow)
end

-- Back into the queue, where a job of this kind goes: retried, promoted or handed back.
local function place(list, id, priority, lifo, in_front)
  if priority ~= 0 then
    place_prioritised(list, id, priority, in_front)
  elseif lifo or in_front then
    call('RPUSH', list, id)
  else
    call('LPUSH', list, id)
  end
end
