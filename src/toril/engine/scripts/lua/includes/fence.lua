--[[ fence
  What names one attempt of a job: its worker's token, a colon, and the server's time in microseconds at which it was
  started. No two scripts run in the same one, so that no attempt can speak for another, be it one of the same worker.
  It is the value of the job's lock, which Bull compares as a text.

  A lock that ran out says nothing about who has the job: while nobody has started it again (its processedOn is the
  fence's millisecond) it is still the attempt's.
  needs keys, clock
]]
local new_fence = token .. ':' .. micros
-- Whether a job without a processedOn waits to be started: it is another one than a running one of that id, whose hash
-- somebody deleted by hand. One that has only lost that field is where it was.
local function is_twice_in_active(id)
  return #call('LPOS', k_active, id, 'COUNT', 2) == 2
end
local function waits(id)
  return call('LPOS', k_wait, id) or call('LPOS', k_paused, id) or call('ZSCORE', k_delayed, id) or
    call('ZSCORE', k_overflow, id) or is_twice_in_active(id)
end
-- 0 the attempt has the job | 1 its lock ran out, and nobody has started the job since | -1 no such job |
-- -2 the lock is gone, and the job was started again, or it is another one that waits | -6 somebody else's lock
local function holding(id, fence)
  local key = base .. id
  local holder = call('GET', key .. ':lock')
  local started = number(call('HGET', key, 'processedOn'))
  if not started then
    if call('EXISTS', key) == 0 then return -1 end
    if waits(id) then return -2 end
  end
  if holder == fence then return 0 end
  if holder then return -6 end
  local micros = number(string.match(fence, ':(%d+)$'))
  if started and micros and started == math.floor(micros / 1000) then return 1 end
  return -2
end
local function is_own(lock)
  return string.sub(lock, 1, #token + 1) == token .. ':'
end
