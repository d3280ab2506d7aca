--[[ debounce
  Free a debounce marker when its job has finished: one with a time to live runs out by itself. A marker of another
  type of key is none.

  needs keys
]]
local function end_debounce(id)
  if not id or id == '' then return end
  local key = base .. 'de:' .. id
  if call('PTTL', key) <= 0 then call('DEL', key) end
end
