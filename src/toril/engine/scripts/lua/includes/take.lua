--[[ take
  Start jobs whose ids were moved to active: lock, mark, read. A job without a name, data or options is not one
  (Node would run it as an empty one): its id is dropped and reported. One that cannot be started stays in
  active, without a lock, for the stalled check, and is reported with the reason.

  needs keys, clock, fence, rate_limit, cancelled
]]
local channel = base .. 'active@' .. token
local marks_there = false -- whether any job is to be cancelled; set by the script
local function start(id, lock_ms, jobs, ghosts)
  local key = base .. id
  local fields = try('HMGET', key, 'name', 'data', 'opts', 'timestamp', 'delay', 'priority', 'attemptsMade', 'stacktrace',
    'progress', 'stalledCounter', 'deid')
  if fields.err then
    if not string.find(fields.err, 'WRONGTYPE', 1, true) then error(fields, 0) end
    -- Another type of key: not a job, and not ours to delete.
    call('LREM', k_active, 1, id)
    ghosts[#ghosts + 1] = id
  elseif not (fields[1] or fields[2] or fields[3]) then
    -- What a careless writer left of it (a lone delay or stall count) would block the id for ever.
    call('DEL', key)
    call('ZREM', k_priority, id)
    call('LREM', k_active, 1, id)
    ghosts[#ghosts + 1] = id
  elseif not limiter or limiter.admit(id) then
    call('SET', key .. ':lock', new_fence, 'PX', lock_ms)
    if fields[6] and fields[6] ~= '0' then call('ZREM', k_priority, id) end
    call('HSET', key, 'processedOn', now_text)
    fields[12], fields[13], fields[14] = id, now_text, marks_there and cancel_wanted(id, fields[4]) and '1' or false
    try('PUBLISH', channel, id)
    jobs[#jobs + 1] = fields
  end
end
local function take(ids, lock_ms, jobs, ghosts, troubles)
  for i = 1, #ids do
    local id = ids[i]
    local well, trouble = pcall(start, id, lock_ms, jobs, ghosts)
    if not well and is_out_of_memory(trouble) then
      need_no_memory()
      well, trouble = pcall(start, id, lock_ms, jobs, ghosts)
    end
    if not well then
      local lock = base .. id .. ':lock'
      if try('GET', lock) == new_fence then try('DEL', lock) end
      try('ZREM', k_delayed, id)
      troubles[#troubles + 1], troubles[#troubles + 2] = id, text_of_error(trouble)
    end
  end
end
