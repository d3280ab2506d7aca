--[[ promote_jobs
  Move delayed jobs into the queue before they are due, the first due first.

  ARGV[3] count  int  most jobs in this step, when no ids are given
  ARGV[4…] ids   str  these jobs and no others
  Returns {jobs still delayed, ids moved}
  Cost O(log N) for each job
]]
-- @include keys clock chunks place
local ids = {}
if ARGV[4] then
  for i = 4, #ARGV do ids[#ids + 1] = ARGV[i] end
else
  ids = call('ZRANGE', k_delayed, 0, tonumber(ARGV[3]) - 1)
end
local list = target_list()
local moved, placed = {}, {}
for _, id in ipairs(ids) do
  if call('ZREM', k_delayed, id) == 1 and call('EXISTS', base .. id) == 1 then
    placed[#placed + 1] = {id, tonumber(call('HGET', base .. id, 'priority') or 0) or 0}
    call('HSET', base .. id, 'delay', 0)
    call('PUBLISH', base .. 'waiting@' .. token, id)
    moved[#moved + 1] = id
  end
end
place(list, placed)
return {call('ZCARD', k_delayed), moved}
