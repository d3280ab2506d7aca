--[[ put_back_lost
  After a worker gave up a blocking call, which may have moved a job all the same: put jobs in active that nobody
  has locked back at the head of the queue. One is put back when it has no lock at two looks in a row, since a job
  on its way to another worker has none for a moment. No stall is counted.

  A job that was started is left alone, with a lock or without: its worker may live, and get the lock back when it reaches
  the server again. If it does not, the job is the stalled check's, which gives it time for that, and counts a stall.

  An exception are those that a worker may have been given in an answer that it never got: those started since the last
  one that it did get. To be asked for when all workers have had time to get their locks back.

  ARGV[3]  since  ms   '' or the server's time from which on also started jobs are suspects
  ARGV[4…] ids    str  suspects of the last look
  Returns {suspects, ids put back}
  Cost O(active)
]]
-- @include keys clock undo rows place requeued
local since = number(ARGV[3])
local seen = {}
for i = 4, #ARGV do seen[ARGV[i]] = true end
local suspects, put_back, back, requeued = {}, {}, {}, {}
local function is_lost(id)
  if call('EXISTS', base .. id .. ':lock') == 1 or has_finished(id) then return false end
  if not was_started(id) then return true end
  local started = call('HGET', base .. id, 'processedOn')
  if not since or (number(started) or 0) < since then return false end
  if seen[id] then requeued[#requeued + 1], requeued[#requeued + 2] = started, id end
  return true
end
whole(function()
  for _, id in ipairs(call('LRANGE', k_active, 0, -1)) do
    if is_lost(id) then
      if not seen[id] then
        suspects[#suspects + 1] = id
      elseif call('LREM', k_active, 1, id) == 1 then
        undo('RPUSH', k_active, id)
        -- A blocking call leaves the priority behind.
        call('ZREM', k_priority, id)
        call('SREM', k_stalled, id)
        -- The newest come first here.
        if call('EXISTS', base .. id) == 1 then
          table.insert(back, 1, {id, number(call('HGET', base .. id, 'priority')) or 0, false, true})
        end
        put_back[#put_back + 1] = id
      end
    end
  end
  place(target_list(), back)
end)
pcall(note_requeued, requeued)
return {suspects, put_back}
