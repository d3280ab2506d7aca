--[[ once
  Around a script whose call may be sent again because its answer got lost: it is carried out once, and answered as before.

  The last argument is <caller>:<slot>:<number>. A slot has one call at a time, and the numbers of a caller grow; one that
  is lower than the last was held up on its way, and nobody waits for its answer. The answer is kept for an hour, which is
  longer than anybody asks again. That it cannot be kept, as there is no memory left, is no reason to refuse the call.
]]
local caller, slot, request = string.match(table.remove(ARGV), '^(%w+):(%d+):(%d+)$')
local answers = ARGV[1] .. 'toril:answers:' .. caller
local function script()
-- @script
end
local kept = redis.pcall('HGET', answers, slot)
if type(kept) == 'string' then
  local last, answer = string.match(kept, '^(%d+) (.*)$')
  if tonumber(last) >= tonumber(request) then return cjson.decode(answer)[1] end
end
local answer = script()
redis.pcall('HSET', answers, slot, request .. ' ' .. cjson.encode({answer}))
redis.pcall('PEXPIRE', answers, 3600000)
return answer
