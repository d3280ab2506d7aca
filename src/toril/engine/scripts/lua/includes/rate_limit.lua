--[[ rate_limit
  Bull's limiter: at most `limit_max` starts in `limit_ms`, shared by all workers that are given one. A job over
  the limit leaves active for delayed, to come back when the window has room.

  limit_max, limit_ms  numbers set by the script; limit_max 0 is no limit
  limit_grouped        true counts for each group: the text after the last colon of the job's id
  needs keys, clock
]]
local limit_max, limit_ms, limit_grouped = 0, 0, false
local function admit(id)
  if limit_max == 0 then return true end
  local counter = k_limiter
  if limit_grouped then counter = counter .. ':' .. (string.match(id, '([^:]*)$') or id) end
  local parked = counter .. ':limited'
  local delay = 0
  if call('SREM', parked, id) == 1 then
    call('HDEL', k_limiter_index, id)
  else
    local waiting = call('SCARD', parked)
    if waiting > 0 then delay = waiting * limit_ms * 1.1 / limit_max + call('PTTL', counter) end
  end
  local started = number(call('GET', counter) or 0)
  if delay <= 0 and started >= limit_max then
    delay = math.max(1, call('PTTL', counter) + (started - limit_max) * limit_ms / limit_max)
  end
  if delay > 0 then
    local due = now + delay
    call('ZADD', k_delayed, due * 4096 + started % 4096, id)
    publish(base .. 'delayed', text_of(due))
    call('SADD', parked, id)
    call('HSET', k_limiter_index, id, parked)
    call('LREM', k_active, 1, id)
    return false
  end
  if started == 0 then call('SET', counter, 1, 'PX', limit_ms) else call('INCR', counter) end
  return true
end
