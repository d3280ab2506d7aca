--[[ promote
  Move delayed jobs that are due to wait or paused, at most 1000. Returns how many moved, and when the next is
  due (ms, as text) or false. What cannot be moved stays delayed, and the trouble is raised.

  What the limiter had parked was at the head when it was, so it goes back there rather than behind all that came later:
  behind what it had parked before and is back already.

  needs keys, clock, undo, rows, place
]]
local function promote_due()
  local edge = now * 4096
  -- When the next is due; never for an infinite score, as Node can make one.
  local function next_due()
    local first = call('ZRANGE', k_delayed, 0, 0, 'WITHSCORES')
    local score = first[2] == '-inf' and edge or number(first[2])
    return score and text_of(score / 4096) or false, score
  end
  local due_text, score = next_due()
  if not score or score > edge then return 0, due_text end
  -- A number, or nil for what is no job: its id just leaves, and a hash that somebody deleted is not made again.
  local function priority_of(id)
    local key = base .. id
    local priority = try('HGET', key, 'priority')
    if type(priority) == 'table' then
      if string.find(priority.err, 'WRONGTYPE', 1, true) then return nil end
      error(priority, 0)
    end
    if not priority and call('EXISTS', key) == 0 then return nil end
    return number(priority) or 0
  end
  -- Which of these the limiter has parked and nobody has started since.
  local function parked_of(ids)
    local entries = try('HMGET', k_limiter_index, unpack(ids))
    if not entries.err then return entries end
    if string.find(entries.err, 'WRONGTYPE', 1, true) then return {} end
    error(entries, 0)
  end
  local function back_to_head(list, ids)
    local ahead, entries, head = 0, nil, nil
    repeat
      head = call('LRANGE', list, -ahead - 50, -ahead - 1)
      entries = #head > 0 and parked_of(head) or {}
      local at = #head
      while at > 0 and entries[at] do at = at - 1 end
      ahead = ahead + #head - at
    until at > 0 or #head < 50
    undo(function() for _, id in ipairs(ids) do call('LREM', list, -1, id) end end)
    rows().insert_behind(list, ids, ahead)
  end
  local due = call('ZRANGEBYSCORE', k_delayed, '-inf', edge, 'WITHSCORES', 'LIMIT', 0, 1000)
  local list, ids = target_list(), {}
  for i = 1, #due, 2 do ids[#ids + 1] = due[i] end
  local well, trouble = attempt(function()
    local back, placed = {}, {}
    for i = 1, #due, 2 do back[i], back[i + 1] = due[i + 1], due[i] end
    undo('ZADD', k_delayed, unpack(back))
    call('ZREM', k_delayed, unpack(ids))
    local parked = call('EXISTS', k_limiter_index) == 1 and parked_of(ids)
    local first, told = {}, {}
    for i, id in ipairs(ids) do
      local priority = priority_of(id)
      if priority then
        local was_parked = parked and parked[i] and true
        if was_parked and priority == 0 then
          first[#first + 1] = id
        else
          placed[#placed + 1] = {id, priority, false, was_parked}
        end
        told[#told + 1] = id
        call('HSET', base .. id, 'delay', 0)
      end
    end
    if #first > 0 then back_to_head(list, first) end
    place(list, placed)
    for _, id in ipairs(told) do publish(base .. 'waiting@' .. token, id) end
  end)
  if not well then error(trouble, 0) end
  due_text = next_due()
  if due_text then publish(base .. 'delayed', due_text) end
  return #ids, due_text
end
