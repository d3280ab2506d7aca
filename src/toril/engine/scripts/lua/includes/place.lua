--[[ place
  Put a job id into wait or paused, in Bull's order, with the overflow for many prioritised jobs.

  Bull keeps prioritised ids in the list itself, the most urgent at the right end, and their priorities in the
  priority zset. An insertion walks the list, so it costs more the more jobs wait. Here only the most urgent
  ones, the window, are in the list; the rest is in the overflow zset, whose score is
  priority * 2^32 + a sequence that keeps the order among equals. Everything in the window comes before
  everything in the overflow, and that before the rest of the list. Node's workers see the list only, so the
  overflow is used while a Toril worker lives that refills the window, and goes back into the list when there is
  none (see restore and restore_overflow).

  Two entries in k_workers are nobody's heartbeat. 'no-node' says that nobody needs the list to be whole, as no worker
  of Node's is there. 'adds' is a bridge: without a worker, adds in great numbers into a long list use the overflow
  until shortly after the last of them, and fill the window themselves, since in the list each batch would move half
  of it.

  k_edge holds the id of the window's last job while anything is overflowed. Prioritised jobs behind it were put
  there by Node, which does not know of the overflow, or by restore. Once that job has been taken, so has the
  whole window.

  What fails in the middle is taken back: of the jobs that are placed by the script, with undo, of the others here.

  needs keys, clock, undo, rows
]]
local WINDOW, LOW_WATER, STEP_SIZE = 512, 128, 500
-- Of the bridge: from how many jobs in the list, and adds in a second, on; how long it holds. Each batch moves an eighth of
-- a list that is long already to the overflow, but no more jobs than this.
local BACKLOG, BURST, BRIDGE_MS, MOST = 4096, 100, 2000, 16000
local LEVEL, MIDDLE, LOWEST = 4294967296, 2147483648, 2097151

-- The list new jobs belong in, and whether the queue is paused.
local function target_list()
  if call('EXISTS', k_meta_paused) == 1 then return k_paused, true end
  return k_wait, false
end

-- All that is below is made when it is first wanted: most calls place nothing, and each function costs one.
local placement -- none while nothing was placed
local function placing()
  if placement then return placement end
  -- And who it is.
  local function worker_alive()
    local last = call('ZREVRANGE', k_workers, 0, 0, 'WITHSCORES')
    return last[2] ~= nil and (number(last[2]) or 0) > now, last[1]
  end

  -- The same, with a bridge made or held for so many adds if it is time for one. The overflow must be gone before another
  -- is made: what is back in the list already would lie behind what is not.
  local function bridge(count, overflowed)
    local alive, who = worker_alive()
    if alive then
      if who ~= 'adds' then return true, false end
    else
      if overflowed or call('ZCARD', k_priority) + count <= BACKLOG then return false, false end
      call('SET', base .. 'toril:burst', 0, 'PX', 1000, 'NX')
      if call('INCRBY', base .. 'toril:burst', count) < BURST then return false, false end
    end
    call('ZADD', k_workers, now + BRIDGE_MS, 'adds')
    return true, true
  end

  -- A priority as the overflow keeps it. Node takes any number; a fraction counts as the next whole one there.
  local function level_of(priority)
    return math.max(1, math.min(LOWEST, math.ceil(priority or LOWEST)))
  end

  -- Level of the most (or the least) urgent overflowed job, or nil.
  local function overflow_first()
    local first = call('ZRANGE', k_overflow, 0, 0, 'WITHSCORES')
    return first[2] and math.floor((number(first[2]) or 0) / LEVEL)
  end
  local function overflow_last()
    local last = call('ZREVRANGE', k_overflow, 0, 0, 'WITHSCORES')
    return last[2] and math.floor((number(last[2]) or 0) / LEVEL)
  end

  -- Jobs {id, level} behind their equals, or before them, in the order in which they are to run; those of a level follow
  -- each other.
  local function to_overflow(jobs, in_front)
    local from, to, step = 1, #jobs, 1
    if in_front then from, to, step = #jobs, 1, -1 end
    local added, level, score = {}, nil, nil
    for i = from, to, step do
      local low, high = jobs[i][2] * LEVEL, jobs[i][2] * LEVEL + LEVEL - 1
      if jobs[i][2] ~= level then
        level, score = jobs[i][2], nil
        local equal
        if in_front then
          equal = call('ZRANGEBYSCORE', k_overflow, low, high, 'WITHSCORES', 'LIMIT', 0, 1)
        else
          equal = call('ZREVRANGEBYSCORE', k_overflow, high, low, 'WITHSCORES', 'LIMIT', 0, 1)
        end
        score = equal[2] and (number(equal[2]) or low)
      end
      if not score then
        score = low + MIDDLE
      elseif in_front then
        score = math.max(low, score - 1)
      else
        score = math.min(high, score + 1)
      end
      added[#added + 1], added[#added + 2] = score, jobs[i][1]
    end
    for at = 1, #added, 4000 do
      call('ZADD', k_overflow, unpack(added, at, math.min(at + 3999, #added)))
    end
  end

  -- Priority of the job that has `before` jobs between itself and the head, if it is a prioritised one.
  local function priority_at(list, before)
    local id = call('LINDEX', list, -before - 1)
    return id and number(call('ZSCORE', k_priority, id))
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

  -- Move jobs that wait in the list, from the first to the last place from the head, to the overflow, behind their
  -- equals or before them. `ids` are those there, the next to run first.
  local function move_to_overflow(list, first, last, ids, in_front)
    local well, trouble = attempt(function()
      local jobs, wanted = {}, {}
      local scores = call('ZMSCORE', k_priority, unpack(ids))
      undo(function()
        for i, id in ipairs(ids) do
          call('ZREM', k_overflow, id)
          if scores[i] then call('ZADD', k_priority, scores[i], id) end
        end
      end)
      for i, id in ipairs(ids) do
        jobs[i] = {id, level_of(number(scores[i]))}
        wanted[id] = true
      end
      to_overflow(jobs, in_front)
      call('ZREM', k_priority, unpack(ids))
      rows().strike(list, first, last, wanted)
    end)
    if not well then error(trouble, 0) end
  end

  -- Move what Node put behind the window, or what was put back while no worker lived, to the overflow, where it
  -- belongs behind its equals. A bounded step, first the jobs that come first. Returns the window's length.
  local function settle(list, first)
    local length, known = window_length(list, first, false)
    if priority_at(list, length) then
      local behind = call('LRANGE', list, -length - STEP_SIZE, -length - 1)
      local scores = call('ZMSCORE', k_priority, unpack(behind))
      local ids = {}
      while #ids < #behind and scores[#behind - #ids] do ids[#ids + 1] = behind[#behind - #ids] end
      if #ids > 0 then move_to_overflow(list, length, length + #ids - 1, ids, false) end
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
    local count, moving = 0, {}
    while count < excess and scores[count + 1] and scores[count + 2] do count = count + 1 end
    if count == 0 then return 0 end
    for i = count, 1, -1 do moving[#moving + 1] = ids[i] end
    move_to_overflow(list, length - count, length - 1, moving, true)
    mark_edge(list, length - count)
    return count
  end

  -- Add prioritised jobs {id, priority}, behind their equals or before them (`in_front`: jobs handed back), and in the
  -- given order among themselves. The window is looked at and moved once for all of them. `new`: a bridge may be made.
  local settled = false
  local function place_ranked(list, jobs, in_front, new)
    -- Wherever they are by then.
    undo(function()
      for _, job in ipairs(jobs) do
        call('LREM', list, -1, job[1])
        call('ZREM', k_priority, job[1])
        call('ZREM', k_overflow, job[1])
      end
    end)
    for i, job in ipairs(jobs) do job[3] = i end
    table.sort(jobs, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[3] < b[3]) end)
    local first = overflow_first()
    local overflowed = first ~= nil
    local alive, bridged = false, false
    if overflowed or call('ZCARD', k_priority) + #jobs > WINDOW then
      if new then alive, bridged = bridge(#jobs, overflowed) else alive = worker_alive() end
    end
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
      local least = number(call('ZREVRANGE', k_priority, 0, 0, 'WITHSCORES')[2])
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
        rest[#rest + 1] = {id, level}
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
    if #ids > 0 then rows().insert(list, ids, before) end
    if #rest > 0 then to_overflow(rest, in_front) end
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
      first = number(call('ZREVRANGE', k_priority, 0, 0, 'WITHSCORES')[2]) or LOWEST
    end
    -- As many as came, and some more: a list that was filled without us is shortened step by step.
    local grown = window_length(list, first, false)
    local most = math.max(#ids + STEP_SIZE, bridged and math.min(grown / 8, MOST) or 0)
    while most > 0 do
      local moved = spill(list, grown)
      if moved == 0 then return end
      grown, most = grown - moved, most - moved
    end
  end

  -- Move jobs from the beginning or the end of the overflow into the list, behind its first `before` jobs. Returns how
  -- many.
  local function out_of_overflow(pop, list, most, before)
    local count
    local well, trouble = attempt(function()
      local popped = call(pop, k_overflow, most)
      local ids, priorities, back = {}, {}, {}
      local from, to, step = 1, #popped, 2
      if pop == 'ZPOPMAX' then from, to, step = #popped - 1, 1, -2 end
      for i = from, to, step do
        local id, score = popped[i], popped[i + 1]
        ids[#ids + 1] = id
        priorities[#priorities + 1], priorities[#priorities + 2] = math.floor((number(score) or 0) / LEVEL), id
        back[#back + 1], back[#back + 2] = score, id
      end
      count = #ids
      if count == 0 then return end
      undo(function()
        call('ZADD', k_overflow, unpack(back))
        for _, id in ipairs(ids) do call('LREM', list, -1, id) end
        call('ZREM', k_priority, unpack(ids))
      end)
      call('ZADD', k_priority, unpack(priorities))
      rows().insert_behind(list, ids, before)
    end)
    if not well then error(trouble, 0) end
    return count
  end

  -- Fill the window when it runs low, and put Node's own additions in order; for whatever takes jobs, and for the
  -- heartbeat, since Node's workers empty the window too. Returns how many jobs come before the overflow, or nil if
  -- nothing is overflowed.
  local function refill(list)
    local first = overflow_first()
    if not first then return nil end
    local length = worker_alive() and settle(list, first) or window_length(list, first, true)
    if length >= LOW_WATER then return length end
    local filled = length + out_of_overflow('ZPOPMIN', list, WINDOW - length, length)
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
    out_of_overflow('ZPOPMAX', list, limit, length)
    mark_edge(list, length)
    forget_edge()
    return call('ZCARD', k_overflow)
  end
  placement = {
    worker_alive = worker_alive, overflow_first = overflow_first, window_length = window_length,
    forget_edge = forget_edge, keep_edge = keep_edge, place_ranked = place_ranked, refill = refill, restore = restore,
  }
  return placement
end

-- Back into the queue, where jobs of their kind go: retried, promoted or handed back. Each is
-- {id, priority, lifo, in_front}; those in front come out in the given order.
local function place(list, jobs)
  local first = jobs[1]
  if #jobs == 1 and first[2] == 0 then
    local at_head = first[3] or first[4]
    call(at_head and 'RPUSH' or 'LPUSH', list, first[1])
    undo('LREM', list, at_head and -1 or 1, first[1])
    return
  end
  local ranked, ranked_front, front, back = {}, {}, {}, {}
  undo(function()
    for _, job in ipairs(jobs) do
      if job[2] == 0 then call('LREM', list, (job[3] or job[4]) and -1 or 1, job[1]) end
    end
  end)
  local function put_ranked()
    if #ranked > 0 then placing().place_ranked(list, ranked, false) end
    if #ranked_front > 0 then placing().place_ranked(list, ranked_front, true) end
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
  for at = 1, #back, 4000 do call('LPUSH', list, unpack(back, at, math.min(at + 3999, #back))) end
  for i = #front, 1, -1 do call('RPUSH', list, front[i]) end
end
