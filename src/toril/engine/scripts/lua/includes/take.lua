--[[ take
  Start jobs whose ids were moved to active: lock, mark, read. A job without a name, data or options is not one
  (Node would run it as an empty one): its id is dropped and reported.

  needs keys, clock, fence, chunks, finish, metrics, rate_limit, cancelled
]]
local FIELDS = {'name', 'data', 'opts', 'timestamp', 'delay', 'priority', 'attemptsMade', 'stacktrace', 'progress',
  'stalledCounter', 'deid'}
local function take(ids, lock_ms, jobs, ghosts)
  local channel = base .. 'active@' .. token
  for _, id in ipairs(ids) do
    local key = base .. id
    local fields = redis.pcall('HMGET', key, unpack(FIELDS))
    if fields.err then
      -- Another type of key: not a job, and not ours to delete.
      call('LREM', k_active, 1, id)
      ghosts[#ghosts + 1] = id
    elseif not (fields[1] or fields[2] or fields[3]) then
      call('LREM', k_active, 1, id)
      call('ZREM', k_priority, id)
      -- What a careless writer left of it (a lone delay or stall count) would block the id for ever.
      call('DEL', key)
      ghosts[#ghosts + 1] = id
    elseif admit(id) then
      call('SET', key .. ':lock', new_fence, 'PX', lock_ms)
      if fields[6] and fields[6] ~= '0' then call('ZREM', k_priority, id) end
      call('HSET', key, 'processedOn', now)
      call('PUBLISH', channel, id)
      fields[12] = id
      fields[13] = text_of(now)
      fields[14] = cancel_wanted(id, fields[4]) and '1' or false
      jobs[#jobs + 1] = fields
    end
  end
end
