--[[ keep
  Trim a finished set by a keep policy: first by age, then by count; hash and log of each victim go too.
  What one step leaves is removed when the next job finishes.

  count  newest jobs that stay, -1 for all
  age    seconds, -1 for any
  needs keys, clock, chunks
]]
local function forget(victims)
  if #victims == 0 then return end
  local keys = {}
  for i = 1, #victims do
    keys[2 * i - 1] = base .. victims[i]
    keys[2 * i] = base .. victims[i] .. ':logs'
  end
  delete_all(keys)
end
-- One step removes at most this many: a policy that comes late to a long set must not hold the server up.
local TRIM_STEP = 5000
local function trim(set, count, age)
  if age >= 0 then
    local victims = call('ZRANGEBYSCORE', set, '-inf', now - age * 1000, 'LIMIT', 0, TRIM_STEP)
    if #victims > 0 then
      forget(victims)
      call('ZREMRANGEBYRANK', set, 0, #victims - 1)
    end
  end
  if count > 0 then
    local excess = math.min(call('ZCARD', set) - count, TRIM_STEP)
    if excess > 0 then
      forget(call('ZRANGE', set, 0, excess - 1))
      call('ZREMRANGEBYRANK', set, 0, excess - 1)
    end
  end
end
