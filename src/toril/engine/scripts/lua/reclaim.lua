--[[ reclaim
  After a lost connection: jobs this worker holds the lock of but does not know about, because the answer that
  handed them over never arrived.

  ARGV[3…] ids  str  jobs the worker knows of
  Returns jobs, in the form of advance
  Cost O(active)
]]
-- @include keys clock chunks
local known = {}
for i = 3, #ARGV do known[ARGV[i]] = true end
local found = {}
for _, id in ipairs(redis.call('LRANGE', k_active, 0, -1)) do
  if not known[id] and redis.call('GET', base .. id .. ':lock') == token then
    local job = redis.call('HMGET', base .. id, 'name', 'data', 'opts', 'timestamp', 'delay', 'priority',
      'attemptsMade', 'stacktrace', 'progress', 'stalledCounter', 'deid')
    job[12] = id
    job[13] = redis.call('HGET', base .. id, 'processedOn') or text_of(now)
    found[#found + 1] = job
  end
end
return found
