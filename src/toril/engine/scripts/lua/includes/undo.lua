--[[ undo
  All or nothing, for steps of which a later one may fail: what was done is taken back, the last step first.

  needs keys
]]
local steps = {}
-- How to take back what was just done: a command, or a function.
local function undo(...)
  steps[#steps + 1] = {...}
end
-- Take back the steps of a list that came after the first `mark`.
local function take_back(done, mark)
  for i = #done, mark + 1, -1 do
    local step = done[i]
    if type(step[1]) == 'function' then pcall(step[1]) else try(unpack(step)) end
    done[i] = nil
  end
end
-- Returns whether it went well, and the result or else the trouble; then nothing was changed.
local function attempt(work, ...)
  local mark = #steps
  local well, result = pcall(work, ...)
  if not well then
    take_back(steps, mark)
  else
    for i = #steps, mark + 1, -1 do steps[i] = nil end
  end
  return well, result
end
-- The same for a whole script, whose reply is the result.
local function whole(work)
  local well, result = attempt(work)
  if not well then error(result, 0) end
  return result
end
