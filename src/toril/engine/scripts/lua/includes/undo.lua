--[[ undo
  All or nothing, for steps of which a later one may fail: what was done is taken back, the last step first.

  needs keys
]]
local steps = {}
-- How to take back what was just done: a command, or a function.
local function undo(...)
  steps[#steps + 1] = {...}
end
local function run_step(step)
  if type(step[1]) == 'function' then pcall(step[1]) else try(unpack(step)) end
end
local function settle_steps(mark)
  for i = #steps, mark + 1, -1 do steps[i] = nil end
end
local function take_back(mark)
  for i = #steps, mark + 1, -1 do
    run_step(steps[i])
    steps[i] = nil
  end
end
-- Returns whether it went well, and the result or else the trouble; then nothing was changed.
local function attempt(work, ...)
  local mark = #steps
  local well, result = pcall(work, ...)
  if well then settle_steps(mark) else take_back(mark) end
  return well, result
end
-- The same for a whole script, whose reply is the result.
local function whole(work)
  local well, result = attempt(work)
  if not well then error(result, 0) end
  return result
end
