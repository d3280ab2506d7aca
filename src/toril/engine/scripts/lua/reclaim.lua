--[[ reclaim
  After a lost connection: jobs this worker holds the lock of but does not know about, because the answer that
  handed them over never arrived.

  ARGV[3…]  for each attempt the worker knows of, the job's id and the fence: see includes/fence.lua;
    without a fence, ids that the worker has moved to active
  Returns jobs, in the form of advance, each with its fence behind
  Cost O(active)
]]
-- @include keys clock fence chunks
local known = {}
for i = 3, #ARGV, 2 do known[ARGV[i + 1] .. ' ' .. ARGV[i]] = true end
local found = {}
for _, id in ipairs(redis.call('LRANGE', k_active, 0, -1)) do
  local holder = redis.call('GET', base .. id .. ':lock')
  if holder and is_own(holder) and not known[holder .. ' ' .. id] and not known[' ' .. id] then
    local job = redis.call('HMGET', base .. id, 'name', 'data', 'opts', 'timestamp', 'delay', 'priority',
      'attemptsMade', 'stacktrace', 'progress', 'stalledCounter', 'deid')
    job[12] = id
    job[13] = redis.call('HGET', base .. id, 'processedOn') or text_of(now)
    job[14] = false
    job[15] = holder
    found[#found + 1] = job
  end
end
return found
