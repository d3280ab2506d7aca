--[[ rate_limit
  Bull's limiter: at most `limit_max` starts in `limit_ms`, shared by all workers that are given one, Node's too.

  Without groups there is one counter: it is looked at before jobs are taken, and what it does not allow stays where it
  is, so that nothing loses its place. With groups, jobs of a group that has had its starts are parked in delayed, for
  others to be taken. As Bull does it a group's parked jobs are in <counter>:limited, and in the limiter's index. They
  start in the order in which they were parked, before later ones of their group, whichever comes back first.

  <base>:toril:line:GROUP  zset of a group's parked jobs, by the order in which they were parked
  <base>:toril:back    zset of jobs that blocking calls brought over the limit, by the order in which they were brought
  `limit_grouped` counts for each group: the text after the last colon of the job's id.
  needs keys, clock, chunks, undo, place
]]
local function make_limiter(limit_max, limit_ms, limit_grouped)
  local k_back = base .. 'toril:back'

  -- How many of `wanted` jobs may start, and if fewer, how long until there is room again (ms). Groups are looked at job
  -- by job.
  local function room_for(wanted)
    if limit_grouped then return wanted, false end
    local started = number(call('GET', k_limiter) or 0) or 0
    if started < limit_max then return math.min(wanted, limit_max - started), false end
    local left = call('PTTL', k_limiter)
    if left < 0 then -- nobody's: a window has an end
      call('PEXPIRE', k_limiter, limit_ms)
      left = limit_ms
    end
    return 0, math.max(left, 1)
  end

  local function count_start(counter)
    if call('EXISTS', counter) == 0 then call('SET', counter, 1, 'PX', limit_ms) else call('INCR', counter) end
  end

  -- Put claims, moved to active over the limit, back to the head, in the order in which they had been waiting: other
  -- workers' claims may be on their way back too, each by a call of its own.
  local function put_back(list, ids)
    local last = number(call('ZREVRANGE', k_back, 0, 0, 'WITHSCORES')[2] or 0)
    local held = call('LRANGE', k_active, 0, -1)
    for i = #held, 1, -1 do
      if call('EXISTS', base .. held[i] .. ':lock') == 0 and call('ZADD', k_back, 'NX', last + 1, held[i]) == 1 then
        last = last + 1
      end
    end
    call('PEXPIRE', k_back, limit_ms + 60000)
    local claims, from_list = {unpack(ids)}, {}
    for _, id in ipairs(call('LRANGE', list, -call('ZCARD', k_back) - 50, -1)) do
      if call('ZSCORE', k_back, id) and call('LREM', list, -1, id) == 1 then
        ids[#ids + 1] = id
        from_list[#from_list + 1] = id
      end
    end
    local place_of, jobs = {}, {}
    for _, id in ipairs(ids) do place_of[id] = number(call('ZSCORE', k_back, id) or 0) end
    table.sort(ids, function(a, b) return place_of[a] < place_of[b] end)
    -- A blocking call leaves the priority behind.
    in_chunks('ZREM', k_priority, ids)
    for i, id in ipairs(ids) do
      jobs[i] = {id, number(call('HGET', base .. id, 'priority') or 0) or 0, false, true}
    end
    local well, trouble = attempt(place, list, jobs)
    if not well then
      if #from_list > 0 then call('RPUSH', list, unpack(from_list)) end
      error(trouble, 0)
    end
    for _, id in ipairs(claims) do call('LREM', k_active, 1, id) end
  end

  -- One that Node had parked is not parked any more.
  local function leave_line(id, line)
    if call('SREM', line, id) == 0 then return false end
    call('HDEL', k_limiter_index, id)
    return true
  end

  local groups = {}
  local function group_of(id)
    local name = string.match(id, '([^:]*)$')
    -- Keys of the limiter itself.
    if name == 'index' or name == 'limited' then name = name .. ' ' end
    local counter = k_limiter .. ':' .. name
    local group = groups[counter]
    if not group then
      group = {
        counter = counter,
        line = counter .. ':limited',
        started = number(call('GET', counter) or 0) or 0,
        left = math.max(0, call('PTTL', counter)),
        order = base .. 'toril:line:' .. name,
        places = {},
      }
      group.waiting = call('SCARD', group.line)
      groups[counter] = group
    end
    return group
  end

  local function is_first(group, id)
    local first = call('ZRANGE', group.order, 0, 0)[1]
    -- Some are removed by people, or started by Node.
    while first and first ~= id and call('SISMEMBER', group.line, first) == 0 do
      call('ZREM', group.order, first)
      first = call('ZRANGE', group.order, 0, 0)[1]
    end
    return not first or first == id
  end

  -- Whether a job that was moved to active may start; otherwise park it.
  local function admit(id)
    if not limit_grouped then
      leave_line(id, k_limiter .. ':limited')
      call('ZREM', k_back, id)
      count_start(k_limiter)
      return true
    end
    local group = group_of(id)
    local came_back = group.waiting > 0 and leave_line(id, group.line)
    if came_back then group.waiting = group.waiting - 1 end
    local has_room = group.started < limit_max
    if has_room and (group.waiting == 0 or (came_back and is_first(group, id))) then
      if came_back then call('ZREM', group.order, id) end
      count_start(group.counter)
      if group.started == 0 then group.left = limit_ms end
      group.started = group.started + 1
      return true
    end
    local last = number(call('ZREVRANGE', group.order, 0, 0, 'WITHSCORES')[2] or 0)
    call('ZADD', group.order, 'NX', last + 1, id)
    call('SADD', group.line, id)
    group.waiting = group.waiting + 1
    local rank = call('ZRANK', group.order, id)
    -- With room now it only lets those before it pass, which are due too.
    local wait = has_room and math.max(5, math.floor(rank / limit_max) * limit_ms) or
      math.max(1, group.left) + math.floor(rank / limit_max) * limit_ms
    local place_due = (now + wait) * 4096 + math.min(rank, 4095)
    -- Two looks at the end of one window may differ by a ms.
    local before = rank > 0 and call('ZRANGE', group.order, rank - 1, rank - 1)[1]
    local place_before = before and number(call('ZSCORE', k_delayed, before) or nil)
    if place_before and place_before >= place_due and place_before < place_due + 8192 then place_due = place_before + 1 end
    group.places[#group.places + 1] = place_due
    group.places[#group.places + 1] = id
    return false
  end

  -- Park what was not admitted; to be called once after the last admit().
  local function park()
    local first
    for _, group in pairs(groups) do
      local places = group.places
      local ids, index, last = {}, {}, 0
      for i = 1, #places, 2 do
        local id = places[i + 1]
        ids[#ids + 1] = id
        index[#index + 1] = id
        index[#index + 1] = group.line
        first = math.min(first or places[i], places[i])
        last = math.max(last, places[i])
      end
      if #ids > 0 then
        in_chunks('ZADD', k_delayed, places)
        in_chunks('HSET', k_limiter_index, index)
        -- Places of the window count those in the list only.
        in_chunks('ZREM', k_priority, ids)
        for _, id in ipairs(ids) do call('LREM', k_active, 1, id) end
        -- Longer than any of them is parked: what nobody asks for again goes by itself.
        call('PEXPIRE', group.order, text_of(math.ceil(last / 4096 - now) + 3600000))
      end
    end
    groups = {}
    if first then publish(base .. 'delayed', text_of(first / 4096)) end
  end
  return {room_for = room_for, put_back = put_back, admit = admit, park = park}
end
-- None without a limit; the script makes it.
local limiter
