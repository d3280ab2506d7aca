--[[ add_jobs
  Add a batch of jobs, in order. One call is one step for everybody who looks on: all are added, or none.

  ARGV[3] request  int  number of this call, counted by the producer `token`; 0 if it need not be remembered
  ARGV[4] groups   int  G, number of option groups; each has 8 arguments:
    opts       str  JSON of the options; when stamp is '' it lacks its last brace, and the time goes in here
    stamp      ms   creation time, or '' for now
    delay      ms   0 for none
    priority   num  0 for none
    lifo       0/1
    deid       str  debounce id, or ''
    debounce   ms   how long a debounce marker lives, or ''
    expires    ms   not started within this time it fails; '' for never
  then for each job 4 arguments:
    group      int  1..G
    name, data str
    id         str  custom id, or '' for the next number
  Returns {overflowed jobs left to restore or -1 if a bridge holds (see place), server's time ms, an id for each job,
    then the place, from 1, of each job that was not added; its id is that of the earlier job it is a duplicate of}
  Cost O(1) for each job, and O(window) once if there are prioritised ones that go into the window; O(waiting) instead
    while no Toril worker lives and no bridge holds
]]
-- @include keys clock chunks undo rows place
local request, groups = ARGV[3], number(ARGV[4])
-- A key for each producer, gone by itself when it adds no more.
local remembered = k_producers .. ':' .. token
if request ~= '0' then
  -- A call whose answer got lost comes again with the same number.
  local last = call('GET', remembered)
  if last then
    local last_request, ids = string.match(last, '^(%d+) (.*)$')
    -- One of an earlier number was held up on its way, and sent again meanwhile: nobody waits for its answer.
    if number(last_request) >= number(request) then return cjson.decode(ids) end
  end
end
-- The next number that is nobody's id, when custom ids lie ahead of the counter. The steps grow, so that a long row of
-- them is passed by a few looks; they are bounded, so that a few chosen ids cannot drive the counter to its end.
local function free_number()
  local step = 1
  while true do
    local free = text_of(call('INCRBY', k_id, step))
    if call('EXISTS', base .. free) == 0 then return free end
    step = math.min(step * 2, 1048576)
  end
end
-- What the jobs of an option group have in common.
local function read_group(g)
  local at = 5 + (g - 1) * 8
  local opts, stamp = ARGV[at], ARGV[at + 1]
  if stamp == '' then
    stamp = now_text
    opts = opts .. stamp
    if ARGV[at + 7] ~= '' then opts = opts .. ',"expiresAt":' .. text_of(now + number(ARGV[at + 7])) end
    opts = opts .. '}'
  end
  local delay, priority = ARGV[at + 2], ARGV[at + 3]
  return {
    opts = opts, stamp = stamp, lifo = ARGV[at + 4] == '1', deid = ARGV[at + 5], debounce = ARGV[at + 6],
    delay_text = delay, delay = delay == '0' and 0 or number(delay),
    priority_text = priority, priority = priority == '0' and 0 or number(priority),
  }
end
-- Returns the id of the job that holds the marker, or nil if this one has it now.
local function debounced(id, deid, ttl)
  local marker = base .. 'de:' .. deid
  local set
  if ttl ~= '' then set = call('SET', marker, id, 'NX', 'PX', ttl) else set = call('SET', marker, id, 'NX') end
  if set then
    undo('DEL', marker)
    return nil
  end
  local holder = call('GET', marker)
  publish(base .. 'debounced@' .. token, holder)
  return holder
end
local made = {}
local function add_all()
  local at = 5 + groups * 8
  local count = (#ARGV + 1 - at) / 4
  local next_id = call('INCRBY', k_id, count) - count
  -- Mostly there is none of them.
  local list, numeric, overflowed = k_wait, false, false
  if call('EXISTS', k_meta_paused, k_numeric, k_overflow) > 0 then
    list, numeric, overflowed = target_list(), call('EXISTS', k_numeric) == 1, true
  end
  local waiting = base .. 'waiting@' .. token
  local reply, fifo, ranked, kinds, there = {0, now_text}, {}, nil, {}, {}
  local function flush()
    if ranked then
      placing().place_ranked(list, ranked, false, true)
      ranked, overflowed = nil, true
    end
    if #fifo > 0 then
      local added = fifo
      call('LPUSH', list, unpack(added))
      undo(function()
        for i = 1, #added do call('LREM', list, 1, added[i]) end
      end)
      fifo = {}
    end
  end
  for i = 1, count do
    local group, name, data, id = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    at = at + 4
    next_id = next_id + 1
    local kind = kinds[group]
    if not kind then
      kind = read_group(number(group))
      kinds[group] = kind
    end
    local deid, duplicate, holder = kind.deid, false, nil
    if id == '' then
      id = text_of(next_id)
      if numeric and call('EXISTS', base .. id) == 1 then id = free_number() end
    else
      duplicate = call('EXISTS', base .. id) == 1
      if not duplicate and not numeric and string.match(id, '^%d+$') then
        numeric = true
        call('SET', k_numeric, 1)
      end
    end
    if duplicate then
      publish(base .. 'duplicated@' .. token, id)
    elseif deid ~= '' then
      holder = debounced(id, deid, kind.debounce)
    end
    if holder or duplicate then
      id = holder or id
      there[#there + 1] = i
    else
      local key = base .. id
      if deid == '' then
        call('HSET', key, 'name', name, 'data', data, 'opts', kind.opts, 'timestamp', kind.stamp,
          'delay', kind.delay_text, 'priority', kind.priority_text)
      else
        call('HSET', key, 'name', name, 'data', data, 'opts', kind.opts, 'timestamp', kind.stamp,
          'delay', kind.delay_text, 'priority', kind.priority_text, 'deid', deid)
      end
      made[#made + 1] = key
      if kind.delay > 0 then
        local due = number(kind.stamp) + kind.delay
        call('ZADD', k_delayed, due * 4096 + next_id % 4096, id)
        undo('ZREM', k_delayed, id)
        publish(base .. 'delayed', text_of(due))
      else
        if kind.priority ~= 0 then
          ranked = ranked or {}
          ranked[#ranked + 1] = {id, kind.priority}
        elseif kind.lifo then
          flush()
          call('RPUSH', list, id)
          undo('LREM', list, -1, id)
        else
          fifo[#fifo + 1] = id
          if #fifo >= 4000 then flush() end
        end
        try('PUBLISH', waiting, id)
      end
    end
    reply[i + 2] = id
  end
  for i = 1, #there do reply[count + 2 + i] = there[i] end
  flush()
  if overflowed and call('EXISTS', k_overflow) == 1 then
    local alive, who = placing().worker_alive()
    if not alive then
      reply[1] = placing().restore(list, 500)
    elseif who == 'adds' then
      reply[1] = -1
      placing().refill(list)
    end
  end
  if request ~= '0' then
    -- For a day: longer than anybody asks again.
    call('SET', remembered, request .. ' ' .. cjson.encode(reply), 'PX', 86400000)
  end
  return reply
end
local well, reply = attempt(add_all)
if not well then
  -- The jobs are out of the lists again.
  delete_all(made)
  error(reply, 0)
end
return reply
