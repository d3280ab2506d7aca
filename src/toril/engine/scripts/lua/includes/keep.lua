--[[ keep
  Trim a finished set by a keep policy: first by age, then by count; hash and log of each victim go too.

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
local function trim(set, count, age)
  if age >= 0 then
    local edge = now - age * 1000
    local victims = call('ZRANGEBYSCORE', set, '-inf', edge)
    if #victims > 0 then
      forget(victims)
      call('ZREMRANGEBYSCORE', set, '-inf', edge)
    end
  end
  if count > 0 then
    local victims = call('ZRANGE', set, 0, -count - 1)
    if #victims > 0 then
      forget(victims)
      call('ZREMRANGEBYRANK', set, 0, -count - 1)
    end
  end
end
