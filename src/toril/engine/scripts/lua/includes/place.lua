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

-- In parts: Lua's stack bounds what one call takes.
local function push_all(command, list, ids)
  for at = 1, #ids, 4000 do call(command, list, unpack(ids, at, math.min(at + 3999, #ids))) end
end

-- Insert ids, the first to run first, so that `before[i]` of the jobs now in the list, never fewer than before the last
-- one, stay between the i-th and the head. What lies between is moved once for all of them.
local function insert(list, ids, before)
  local total, deepest = #ids, before[#ids]
  if deepest > NEAR and before[1] <= NEAR then
    local near, near_before, deep, deep_before = {}, {}, {}, {}
    for i = 1, total do
      local to, to_before = near, near_before
      if before[i] > NEAR then to, to_before = deep, deep_before end
      to[#to + 1] = ids[i]
      to_before[#to_before + 1] = before[i]
    end
    insert(list, deep, deep_before)
    return insert(list, near, near_before)
  end
  if deepest > NEAR then
    local from_left = call('LLEN', list) - before[1]
    -- A walk with LINSERT passes a job in a tenth of the time in which one is moved.
    if total * math.max(from_left, 1) < 10 * math.min(deepest, math.max(from_left, 1)) then
      for i = total, 1, -1 do
        local pivot = before[i] > 0 and call('LINDEX', list, -before[i])
        if pivot then
          call('LINSERT', list, 'BEFORE', pivot, ids[i])
        else
          call(before[i] > 0 and 'LPUSH' or 'RPUSH', list, ids[i])
        end
      end
      return
    end
    if from_left < deepest then
      local moved, row = from_left > 0 and call('LPOP', list, from_left) or {}, {}
      -- moved[#moved] is the nearest to the head, with before[1] jobs before it.
      local i = 1
      for at = #moved, 0, -1 do
        while i <= total and (before[i] - before[1] <= #moved - at or at == 0) do
          row[#row + 1] = ids[i]
          i = i + 1
        end
        row[#row + 1] = moved[at]
      end
      return push_all('LPUSH', list, row)
    end
  end
  local moved, row = deepest > 0 and call('RPOP', list, deepest) or {}, {}
  local i = total
  for at = #moved, 0, -1 do
    while i > 0 and before[i] >= at do
      row[#row + 1] = ids[i]
      i = i - 1
    end
    row[#row + 1] = moved[at]
  end
  push_all('RPUSH', list, row)
end

-- Insert ids, the first to run first, behind the first `before` jobs.
local function insert_behind(list, ids, before)
  local places = {}
  for i = 1, #ids do places[i] = before end
  if #ids > 0 then insert(list, ids, places) end
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
-- a lifo job: it is not for us to put that behind the overflow. Returns how many moved.
local function spill(list, length)
  local excess = math.min(length - WINDOW, STEP_SIZE)
  if excess <= 0 then return 0 end
  local ids = call('LRANGE', list, -length, -length + excess)
  local scores = call('ZMSCORE', k_priority, unpack(ids))
  local count, wanted = 0, {}
  while count < excess and scores[count + 1] and scores[count + 2] do
    count = count + 1
    wanted[ids[count]] = true
  end
  if count == 0 then return 0 end
  move_to_overflow(strike(list, length - count, length - 1, wanted), true)
  mark_edge(list, length - count)
  return count
end

-- Add prioritised jobs {id, priority}, behind their equals or before them (`in_front`: jobs handed back), and in the
-- given order among themselves. The window is looked at and moved once for all of them.
local settled = false
local function place_ranked(list, jobs, in_front)
  for i, job in ipairs(jobs) do job[3] = i end
  table.sort(jobs, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[3] < b[3]) end)
  local first = overflow_first()
  local overflowed = first ~= nil
  local alive = (overflowed or call('ZCARD', k_priority) + #jobs > WINDOW) and worker_alive()
  if overflowed and alive and not settled then
    settle(list, first)
    settled = true
    first = overflow_first()
  end
  local function behind(level, other)
    return level > other or (level == other and not in_front)
  end
  -- How many jobs of the list come before the overflow, as it is or as it will be.
  local length, last
  if overflowed then
    length = window_length(list, first, not alive)
    last = not alive and overflow_last()
  elseif alive then
    call('DEL', k_edge)
    local least = tonumber(call('ZREVRANGE', k_priority, 0, 0, 'WITHSCORES')[2] or nil)
    length = least and window_length(list, least, false) or 0
    last = least and level_of(least) or 0
  end
  local ids, before, scores, rest = {}, {}, {}, {}
  local edge
  for _, job in ipairs(jobs) do
    local id, priority, level = job[1], job[2], level_of(job[2])
    local to_rest = false
    if overflowed then
      -- Without a worker the least urgent jobs are back in the list already, behind what is still overflowed.
      to_rest = behind(level, first) and (alive or not behind(level, last))
    elseif alive then
      -- Once there is an overflow, all that follows in order belongs into it.
      to_rest = #rest > 0 or (length + #ids >= WINDOW and behind(level, last))
    end
    if to_rest then
      rest[#rest + 1] = job
    else
      local n = #ids + 1
      ids[n], before[n] = id, call('ZCOUNT', k_priority, 0, (in_front and '(' or '') .. priority)
      scores[2 * n - 1], scores[2 * n] = priority, id
      if length and before[n] >= length and not (overflowed and behind(level, first)) then edge = id end
    end
  end
  for at = 1, #scores, 4000 do
    call('ZADD', k_priority, unpack(scores, at, math.min(at + 3999, #scores)))
  end
  if #ids > 0 then insert(list, ids, before) end
  local from, to, step = 1, #rest, 1
  if in_front then from, to, step = #rest, 1, -1 end
  for i = from, to, step do to_overflow(rest[i][1], level_of(rest[i][2]), in_front) end
  if overflowed or #rest > 0 then
    if edge then
      call('SET', k_edge, edge)
    elseif not overflowed then
      mark_edge(list, length + #ids)
    end
  end
  if not alive or #ids == 0 then return end
  if overflowed or #rest > 0 then
    first = overflow_first()
  else
    first = tonumber(call('ZREVRANGE', k_priority, 0, 0, 'WITHSCORES')[2])
  end
  -- As many as came, and some more: a list that was filled without us is shortened step by step.
  local grown, most = window_length(list, first, false), #ids + STEP_SIZE
  while most > 0 do
    local moved = spill(list, grown)
    if moved == 0 then return end
    grown, most = grown - moved, most - moved
  end
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
  for i = 1, #popped, 2 do
    ids[#ids + 1] = popped[i]
    scores[#scores + 1] = math.floor(tonumber(popped[i + 1]) / LEVEL)
    scores[#scores + 1] = popped[i]
  end
  local filled = length + #ids
  insert_behind(list, ids, length)
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
  local popped = call('ZPOPMAX', k_overflow, limit)
  local ids, scores = {}, {}
  for i = #popped - 1, 1, -2 do
    ids[#ids + 1] = popped[i]
    scores[#scores + 1] = math.floor(tonumber(popped[i + 1]) / LEVEL)
    scores[#scores + 1] = popped[i]
  end
  insert_behind(list, ids, length)
  call('ZADD', k_priority, unpack(scores))
  mark_edge(list, length)
  forget_edge()
  return call('ZCARD', k_overflow)
end

-- Back into the queue, where jobs of their kind go: retried, promoted or handed back. Each is
-- {id, priority, lifo, in_front}; those in front come out in the given order.
local function place(list, jobs)
  local ranked, ranked_front, front, back = {}, {}, {}, {}
  local function put_ranked()
    if #ranked > 0 then place_ranked(list, ranked, false) end
    if #ranked_front > 0 then place_ranked(list, ranked_front, true) end
    ranked, ranked_front = {}, {}
  end
  for _, job in ipairs(jobs) do
    local id, priority, lifo, in_front = job[1], job[2], job[3], job[4]
    if priority ~= 0 then
      local kind = in_front and ranked_front or ranked
      kind[#kind + 1] = {id, priority}
    elseif in_front then
      front[#front + 1] = id
    elseif lifo then
      -- It shifts the places of prioritised jobs that come after it, as in Bull.
      put_ranked()
      call('RPUSH', list, id)
    else
      back[#back + 1] = id
    end
  end
  put_ranked()
  push_all('LPUSH', list, back)
  for i = #front, 1, -1 do call('RPUSH', list, front[i]) end
end
