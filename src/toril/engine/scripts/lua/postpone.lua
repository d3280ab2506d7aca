--[[ postpone
  Note that a running job is put off, and tell how much longer that may go on. The first time is kept beside the job, by
  its id and the time it was added, and forgotten by itself.

  ARGV[3] id
  ARGV[4] timestamp  ms  when the job was added
  ARGV[5] at_most    ms  how long jobs may be put off in all
  ARGV[6] wait       ms  until it runs again
  Returns ms that are left, at least 0 | -1 none; then a person's retry begins anew
  Cost O(1)
]]
-- @include keys clock
local at_most = number(ARGV[5])
local key = base .. 'toril:postponed:' .. ARGV[3] .. ':' .. ARGV[4]
local first = number(call('GET', key)) or now
if first > now then first = now end
local left = at_most - (now - first)
if left <= 0 then
  call('DEL', key)
  return -1
end
call('SET', key, text_of(first), 'PX', at_most + math.min(number(ARGV[6]), at_most) + 3600000)
return left
