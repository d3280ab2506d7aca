--[[ take_turn
  A turn to call an outside service, in a line that all workers of the queue share. Turns lie one interval apart, and so
  do the calls, whoever is late for a turn; nobody calls while the service is left alone.

  ARGV[3] name         str  of the service
  ARGV[4] interval ms       between two calls
  ARGV[5] longest  ms       a turn that is farther away is not taken
  ARGV[6] turn     ms|''    the one that was taken before: may the call be made now?
  ARGV[7] hold     ms       > 0: instead, leave the service alone for so long
  Returns {ms to wait, the turn's time}
    for a turn that was given: 0 means now
    otherwise it was taken; '' as its time: it was not, and may be in so many ms
  Cost O(1)
]]
-- @include keys clock
local key = base .. 'toril:turns:' .. ARGV[3]
local interval, longest, hold = number(ARGV[4]), number(ARGV[5]), number(ARGV[7])
local kept = call('HMGET', key, 'next', 'held', 'called')
-- A clock that was set back must not shut the service off for long.
local held = math.min(number(kept[2] or 0), now + 86400000)
local called = math.min(number(kept[3] or 0), now)
local function keep(field, ms)
  call('HSET', key, field, text_of(ms))
  call('PEXPIRE', key, 90000000)
end
if hold > 0 then
  keep('held', math.max(held, now + hold))
  return {0, ''}
end
local turn = number(ARGV[6])
if turn and turn >= held and turn <= now + longest then
  local wait = math.ceil(math.max(turn, called + interval) - now)
  if wait <= 0 then keep('called', now) end
  return {math.max(wait, 0), ARGV[6]}
end
local first = math.max(now, held, called + interval)
local due = math.min(math.max(number(kept[1] or 0), first), first + longest + interval)
if due - now > longest then return {math.ceil(due - now), ''} end
keep('next', due + interval)
return {math.ceil(due - now), text_of(due)}
