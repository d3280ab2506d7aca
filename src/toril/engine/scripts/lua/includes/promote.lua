--[[ promote
  Move delayed jobs that are due to wait or paused, at most 1000. Returns how many moved, and when the next is
  due (ms, as text) or false.

  needs keys, clock, place
]]
local function promote_due()
  local first = call('ZRANGE', k_delayed, 0, 0, 'WITHSCORES')
  if not first[1] then return 0, false end
  local edge = now * 4096
  if tonumber(first[2]) > edge then return 0, text_of(tonumber(first[2]) / 4096) end
  local due = call('ZRANGEBYSCORE', k_delayed, 0, edge, 'LIMIT', 0, 1000)
  call('ZREM', k_delayed, unpack(due))
  local list, placed = target_list(), {}
  for _, id in ipairs(due) do
    local key = base .. id
    local priority = call('HGET', key, 'priority')
    -- A hash deleted by somebody is not made again by writing to it: its id just leaves.
    if priority or call('EXISTS', key) == 1 then
      placed[#placed + 1] = {id, tonumber(priority or 0) or 0}
      call('HSET', key, 'delay', 0)
      call('PUBLISH', base .. 'waiting@' .. token, id)
    end
  end
  place(list, placed)
  first = call('ZRANGE', k_delayed, 0, 0, 'WITHSCORES')
  if not first[1] then return #due, false end
  local next_due = text_of(tonumber(first[2]) / 4096)
  call('PUBLISH', base .. 'delayed', next_due)
  return #due, next_due
end
