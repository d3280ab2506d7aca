--[[ metrics
  Bull's counts per minute, newest first; `points` is how many minutes are kept, and `jobs` how many have ended now.

  To be called by pcall: a count that cannot be kept changes nothing else.

  needs keys, clock, chunks
]]
local function count_metric(key, points, jobs)
  local before = call('HINCRBY', key, 'count', jobs) - jobs
  local last = call('HGET', key, 'prevTS')
  if not last then
    call('HSET', key, 'prevTS', now_text, 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor(now / 60000) - math.floor((number(last) or now) / 60000), points)
  if minutes > 0 then
    local data = key .. ':data'
    call('LPUSH', data, before - (number(call('HGET', key, 'prevCount')) or 0))
    if minutes > 1 then
      local zeros = {}
      for i = 1, minutes - 1 do zeros[i] = 0 end
      in_chunks('LPUSH', data, zeros)
    end
    call('LTRIM', data, 0, points - 1)
    call('HSET', key, 'prevCount', before, 'prevTS', now)
  end
end
