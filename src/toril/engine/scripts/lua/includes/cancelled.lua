--[[ cancelled
  Marks on running jobs that somebody wants cancelled: id -> time of the wish (ms).

  A mark that is older than its job belongs to an earlier job of the same id, which a worker of Node's finished
  without knowing of marks.
  needs keys, undo
]]
-- Returns whether somebody wants it; to be asked only when there are marks.
local function cancel_wanted(id, timestamp)
  local marked = call('HGET', k_cancelled, id)
  if not marked then return false end
  if (number(marked) or 0) >= (number(timestamp) or 0) then return true end
  call('HDEL', k_cancelled, id)
  return false
end
