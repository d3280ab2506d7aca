--[[ old
  Whether a job may be cleaned: nobody holds it, and its time is longer ago than `grace` ms. '' means any job.

  needs keys, clock
]]
local function is_old(id, grace)
  if grace == '' then return true end
  if call('EXISTS', base .. id .. ':lock') == 1 then return false end
  local times = call('HMGET', base .. id, 'finishedOn', 'processedOn', 'timestamp')
  local time = tonumber(times[1] or times[2] or times[3] or nil)
  return not time or time < now - tonumber(grace)
end
