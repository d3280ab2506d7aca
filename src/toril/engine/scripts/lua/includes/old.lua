--[[ old
  Whether a worker holds a job, and whether its time (finished, else started, else created) is at least
  `grace` ms ago; a job without any is old. With a grace of 0 that is every job, also one of this very ms.

  needs keys, clock
]]
local function is_held(id)
  return call('EXISTS', base .. id .. ':lock') == 1
end
local function is_old(id, grace)
  local times = call('HMGET', base .. id, 'finishedOn', 'processedOn', 'timestamp')
  local time = number(times[1] or times[2] or times[3])
  return not time or time <= now - (number(grace) or 0)
end
