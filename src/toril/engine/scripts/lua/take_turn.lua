--[[ take_turn
  Turns to call an outside service, in a line that all workers of the queue share. Calls lie one interval apart, whoever is
  late, and nobody calls while the service is left alone.

  A caller in order stands before those whose jobs were taken from the queue later, and comes neither before a job that was
  taken earlier and has not asked yet, nor while another call in order is under way. It is waited for nobody whose job has
  no lock any more, nor for longer than ARGV[5].

  ARGV[3] name         str  of the service
  ARGV[4] interval ms       between two calls
  ARGV[5] longest  ms       who would have to wait longer is turned away; who is late for longer loses the place
  ARGV[6] verb         str  'reserve' a place, 'come' to call, 'end' of the call, 'leave' the line, or 'hold': leave the
                            service alone, and keep the place
  ARGV[7] hold     ms
  ARGV[8] member       str  who asks: o (in order) or m, a name of its own, a colon, and the id of the job
  ARGV[9] place    num|''   the place that was given before
  Returns {ms to wait, the place}
    0 after 'come': now. '' as the place: none was given, and may be in so many ms

  <base>:toril:turns:<name>          hash  held until when; called when; calling: the member, until when; places given
  <base>:toril:turns:<name>:line     zset  members by their places
  <base>:toril:turns:<name>:waits    zset  members by the time at which they lose their places
  <base>:toril:turns:<name>:asked    zset  ids of jobs by the time at which they asked
  <base>:toril:turns:<name>:unlocked zset  ids of jobs by the time at which they were first seen in active without a lock
  Cost O(jobs in active + members)
]]
-- @include keys clock requeued
local key = base .. 'toril:turns:' .. ARGV[3]
local line, waits, asked, unlocked = key .. ':line', key .. ':waits', key .. ':asked', key .. ':unlocked'
local interval, longest, verb, hold = number(ARGV[4]), number(ARGV[5]), ARGV[6], number(ARGV[7])
local member, place = ARGV[8], number(ARGV[9])
local in_order, id = string.match(member, '^(o?)[^:]*:(.*)$')
in_order = in_order == 'o'
local kept = call('HMGET', key, 'held', 'called', 'calling', 'until')
-- A clock that was set back must not shut the service off for long.
local held = math.min(number(kept[1] or '') or 0, now + 86400000)
local called = math.min(number(kept[2] or '') or 0, now)
local calling = (number(kept[4] or '') or 0) > now and kept[3]
local function keep(...)
  if ... then call('HSET', key, ...) end
  for _, each in ipairs({key, line, waits, asked, unlocked}) do call('PEXPIRE', each, 90000000) end
end
local function leave(who)
  call('ZREM', line, who)
  call('ZREM', waits, who)
end
local function has_lock(job) return call('EXISTS', base .. job .. ':lock') == 1 end
local function job_of(who) return string.match(who, ':(.*)$') end

if verb == 'end' or verb == 'leave' or verb == 'hold' then
  if calling == member then call('HDEL', key, 'calling', 'until') end
  if verb == 'leave' then leave(member) end
  if verb == 'hold' then
    keep('held', text_of(math.max(held, now + hold)))
    if place and hold <= longest then
      call('ZADD', line, ARGV[9], member)
      call('ZADD', waits, text_of(now + hold + longest), member)
    end
  end
  return {0, ARGV[9]}
end

-- Jobs that were taken before this one, and how many of them are still to ask.
local earlier, expected = {}, 0
local at = in_order and call('LPOS', k_active, id)
if at then
  for _, other in ipairs(call('LRANGE', k_active, at + 1, -1)) do
    earlier[other] = true
    local begun = number(call('HGET', base .. other, 'processedOn') or '')
    if has_lock(other) then
      local last = number(call('ZSCORE', asked, other) or '')
      if begun and begun > now - longest and not (last and last >= begun) then expected = expected + 1 end
    elseif not was_started(other) then
      -- On its way to a worker, which locks it in a moment; or that worker died just then.
      if not call('ZSCORE', unlocked, other) then
        call('ZREMRANGEBYSCORE', unlocked, '-inf', now - 60000)
        call('ZADD', unlocked, now, other)
      end
      if number(call('ZSCORE', unlocked, other)) > now - 1000 then expected = expected + 1 end
    end
  end
end

-- Who waits, but for those whose attempt has ended.
local others = {}
local rows = call('ZRANGE', line, 0, -1, 'WITHSCORES')
for i = 1, #rows, 2 do
  local who, job = rows[i], job_of(rows[i])
  local ordered = string.sub(who, 1, 1) == 'o'
  if who == member then
    place = number(rows[i + 1])
  elseif ordered and ((in_order and job == id) or not has_lock(job)) then
    leave(who)
  else
    others[#others + 1] = {who, number(rows[i + 1]), ordered and not earlier[job]}
  end
end
if not place and at then
  local before
  for _, other in ipairs(others) do
    if other[3] then
      place = before and (before + other[2]) / 2 or other[2] - 1
      break
    end
    before = other[2]
  end
end
place = place or call('HINCRBY', key, 'places', 1)
call('ZADD', line, text_of(place), member)
call('ZADD', asked, now, id)
call('ZREMRANGEBYSCORE', asked, '-inf', now - longest - 60000)

local ahead = expected
for _, other in ipairs(others) do
  if other[2] < place or (other[2] == place and other[1] < member) then
    local late = (number(call('ZSCORE', waits, other[1]) or '') or 0) < now
    if late then leave(other[1]) else ahead = ahead + 1 end
  end
end
-- What the same job had under way in an earlier attempt has ended with that.
local busy = in_order and calling and job_of(calling) ~= id and has_lock(job_of(calling))
local until_then = math.max(held, called + interval) - now
local wait
if until_then > 0 then
  wait = until_then + ahead * interval
elseif ahead > 0 or busy then
  -- Somebody is late: look again soon.
  wait = math.min(interval, 25) + math.max(ahead - 1, 0) * interval
else
  wait = 0
end
if wait > longest then
  leave(member)
  return {math.ceil(wait), ''}
end
if wait > 0 or verb == 'reserve' then
  call('ZADD', waits, text_of(math.ceil(now + wait + longest)), member)
  keep()
  return {math.ceil(wait), text_of(place)}
end
leave(member)
keep('called', now_text)
if in_order then keep('calling', member, 'until', text_of(now + longest)) end
return {0, text_of(place)}
