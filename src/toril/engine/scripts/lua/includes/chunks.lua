--[[ chunks
  Call a command with many members: unpack() is bounded by Lua's C stack.
]]
local function in_chunks(command, key, members)
  local total = #members
  for first = 1, total, 4000 do
    call(command, key, unpack(members, first, math.min(first + 3999, total)))
  end
end
local function delete_all(keys)
  local total = #keys
  for first = 1, total, 4000 do
    call('DEL', unpack(keys, first, math.min(first + 3999, total)))
  end
end
