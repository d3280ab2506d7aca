--[[ promote_jobs
  Move delayed jobs into the queue before they are due, the first due first.

  ARGV[3] count  int  most jobs in this step, when no ids are given
  ARGV[4…] ids   str  these jobs and no others
  Returns {jobs still delayed, ids moved}
  Cost O(log N) for each job
]]
-- @include keys clock undo rows place
local ids = {}
if ARGV[4] then
  for i = 4, #ARGV do ids[#ids + 1] = ARGV[i] end
else
  ids = call('ZRANGE', k_delayed, 0, number(ARGV[3]) - 1)
end
return whole(function()
  local moved, placed = {}, {}
  for _, id in ipairs(ids) do
    local key = base .. id
    local score = call('ZSCORE', k_delayed, id)
    if score then
      undo('ZADD', k_delayed, score, id)
      call('ZREM', k_delayed, id)
      local fields = call('HMGET', key, 'priority', 'delay')
      if fields[1] or fields[2] or call('EXISTS', key) == 1 then
        undo('HSET', key, 'delay', fields[2] or 0)
        call('HSET', key, 'delay', 0)
        placed[#placed + 1] = {id, number(fields[1]) or 0}
        moved[#moved + 1] = id
      end
    end
  end
  place(target_list(), placed)
  local left = call('ZCARD', k_delayed)
  for _, id in ipairs(moved) do publish(base .. 'waiting@' .. token, id) end
  return {left, moved}
end)
