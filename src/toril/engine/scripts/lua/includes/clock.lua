--[[ clock
  The server's clock in ms, so that a client's wrong clock cannot run or lose a job.
]]
local time, format = call('TIME'), string.format
local micros = time[1] .. string.sub('00000' .. time[2], -6)
local now_text = string.sub(micros, 1, -4)
local now = number(now_text)
-- A ms value as text: tostring() would write 1.8e+12, and for a whole number '%d' takes half the time of '%.0f'.
local function text_of(ms)
  if ms % 1 ~= 0 then return format('%.17g', ms) end
  if ms > -2 ^ 53 and ms < 2 ^ 53 then return format('%d', ms) end
  return format('%.0f', ms)
end
