--[[ cancelled
  Marks on running jobs that somebody wants cancelled: id -> time of the wish (ms).

  A mark that is older than its job belongs to an earlier job of the same id, which a worker of Node's finished
  without knowing of marks.
  needs keys, undo
]]
local marks_there = call('EXISTS', k_cancelled) == 1
local function cancel_wanted(id, timestamp)
  if not marks_there then return false end
  local marked = call('HGET', k_cancelled, id)
  if not marked then return false end
  if (number(marked) or 0) >= (number(timestamp) or 0) then return true end
  call('HDEL', k_cancelled, id)
  return false
end
-- When the job ends; a mark that went when it was taken would be forgotten with a lost answer.
local function take_cancel_mark(id, timestamp)
  if not cancel_wanted(id, timestamp) then return false end
  undo('HSET', k_cancelled, id, call('HGET', k_cancelled, id))
  call('HDEL', k_cancelled, id)
  return true
end
