--[[ put_back_lost
  After a worker gave up a blocking call, which may have moved a job all the same: put jobs in active that nobody
  has locked back at the head of the queue. One is put back when it has no lock at two looks in a row, since a job
  on its way to another worker has none for a moment. No stall is counted.

  A job that was started before and is marked by the stalled check lost its worker: it is left to that check.

  ARGV[3…] ids  str  suspects of the last look
  Returns {suspects, ids put back}
  Cost O(active)
]]
-- @include keys clock place
local seen = {}
for i = 3, #ARGV do seen[ARGV[i]] = true end
local suspects, put_back, back = {}, {}, {}
local list = target_list()
for _, id in ipairs(call('LRANGE', k_active, 0, -1)) do
  local key = base .. id
  if call('EXISTS', key .. ':lock') == 0 and
    (call('HEXISTS', key, 'processedOn') == 0 or call('SISMEMBER', k_stalled, id) == 0) then
    if not seen[id] then
      suspects[#suspects + 1] = id
    else
      call('LREM', k_active, 1, id)
      -- A blocking call leaves the priority behind.
      call('ZREM', k_priority, id)
      call('SREM', k_stalled, id)
      if call('EXISTS', key) == 1 then
        -- The newest come first here.
        table.insert(back, 1, {id, tonumber(call('HGET', key, 'priority') or 0) or 0, false, true})
      end
      put_back[#put_back + 1] = id
    end
  end
end
place(list, back)
return {suspects, put_back}
