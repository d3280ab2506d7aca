--[[ discard
  Delete what is kept of jobs apart from their places in lists and sets: hash, log, lock, what the limiter and
  the stalled check know of them, a wish to cancel them, and a debounce marker that is theirs.

  needs keys, chunks
]]
local function discard(ids)
  if #ids == 0 then return end
  local keys = {}
  local limited = call('EXISTS', k_limiter_index) == 1
  for _, id in ipairs(ids) do
    local key = base .. id
    local deid = call('HGET', key, 'deid')
    if deid and call('GET', base .. 'de:' .. deid) == id then keys[#keys + 1] = base .. 'de:' .. deid end
    local parked = limited and call('HGET', k_limiter_index, id)
    if parked then call('SREM', parked, id) end
    keys[#keys + 1] = key
    keys[#keys + 1] = key .. ':logs'
    keys[#keys + 1] = key .. ':lock'
  end
  if limited then in_chunks('HDEL', k_limiter_index, ids) end
  in_chunks('HDEL', k_cancelled, ids)
  in_chunks('SREM', k_stalled, ids)
  delete_all(keys)
end
