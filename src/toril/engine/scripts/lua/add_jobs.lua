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
  Returns {overflowed jobs left to restore or -1 if a bridge holds (see place), server's time ms, id, id, …}; an id is
    that of the earlier job if this one was a duplicate
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
local count = (#ARGV - 4 - groups * 8) / 4
local next_id = call('INCRBY', k_id, count) - count
local list = target_list()
local numeric = call('EXISTS', k_numeric) == 1
local waiting = base .. 'waiting@' .. token
local reply, fifo, ranked, made = {0, text_of(now)}, {}, {}, {}
local function flush()
  if #ranked > 0 then
    place_ranked(list, ranked, false, true)
    ranked = {}
  end
  if #fifo > 0 then
    local added = fifo
    call('LPUSH', list, unpack(added))
    undo(function()
      for _, id in ipairs(added) do call('LREM', list, 1, id) end
    end)
    fifo = {}
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
local numbers, stamps, opts, delays, priorities = {}, {}, {}, {}, {}
for g = 1, groups do
  local at = 5 + (g - 1) * 8
  local stamp = ARGV[at + 1]
  if stamp == '' then
    stamp = text_of(now)
    opts[g] = ARGV[at] .. stamp
    if ARGV[at + 7] ~= '' then opts[g] = opts[g] .. ',"expiresAt":' .. text_of(now + number(ARGV[at + 7])) end
    opts[g] = opts[g] .. '}'
  else
    opts[g] = ARGV[at]
  end
  numbers[text_of(g)] = g
  stamps[g], delays[g], priorities[g] = stamp, number(ARGV[at + 2]), number(ARGV[at + 3])
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
local function add_all()
  local at = 5 + groups * 8
  for i = 1, count do
    local g, name, data, id = numbers[ARGV[at]], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    at = at + 4
    next_id = next_id + 1
    local group = 5 + (g - 1) * 8
    local delay, priority, deid = delays[g], priorities[g], ARGV[group + 5]
    local duplicate = false
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
    local holder
    if duplicate then
      publish(base .. 'duplicated@' .. token, id)
    elseif deid ~= '' then
      holder = debounced(id, deid, ARGV[group + 6])
    end
    if holder then
      id = holder
    elseif not duplicate then
      local key = base .. id
      local shown_delay, shown_priority = ARGV[group + 2], ARGV[group + 3]
      if deid == '' then
        call('HSET', key, 'name', name, 'data', data, 'opts', opts[g], 'timestamp', stamps[g],
          'delay', shown_delay, 'priority', shown_priority)
      else
        call('HSET', key, 'name', name, 'data', data, 'opts', opts[g], 'timestamp', stamps[g],
          'delay', shown_delay, 'priority', shown_priority, 'deid', deid)
      end
      made[#made + 1] = key
      if delay > 0 then
        local due = number(stamps[g]) + delay
        call('ZADD', k_delayed, due * 4096 + next_id % 4096, id)
        undo('ZREM', k_delayed, id)
        publish(base .. 'delayed', text_of(due))
      else
        if priority ~= 0 then
          ranked[#ranked + 1] = {id, priority}
        elseif ARGV[group + 4] == '1' then
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
  flush()
  if call('EXISTS', k_overflow) == 1 then
    local alive, who = worker_alive()
    if not alive then
      reply[1] = restore(list, 500)
    elseif who == 'adds' then
      reply[1] = -1
      refill(list)
    end
  end
  if request ~= '0' then
    -- For a day: longer than anybody asks again.
    call('SET', remembered, request .. ' ' .. cjson.encode(reply), 'PX', 86400000)
  end
end
local well, trouble = attempt(add_all)
if not well then
  -- The jobs are out of the lists again.
  delete_all(made)
  error(trouble, 0)
end
return reply
