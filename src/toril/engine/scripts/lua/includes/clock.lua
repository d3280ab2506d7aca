--[[ clock
  The server's clock in ms, so that a client's wrong clock cannot run or lose a job.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A ms value as text: tostring() would write 1.8e+12.
local function text_of(ms)
  if ms % 1 == 0 then return string.format('%.0f', ms) end
  return string.format('%.17g', ms)
end
