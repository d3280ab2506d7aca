--[[ retry_jobs
  Put failed jobs back into the queue, the oldest failure first. As with Bull nothing is published.

  ARGV[3] count   int  most jobs in this step
  ARGV[4] before  ms   only jobs that failed until then; '' for now
  Returns {jobs moved, 1 if there may be more, the time used as `before`}
  Cost O(log N) for each job
]]
-- @include keys clock chunks place
local count = tonumber(ARGV[3])
local before = ARGV[4] == '' and text_of(now) or ARGV[4]
local ids = call('ZRANGEBYSCORE', k_failed, '-inf', before, 'LIMIT', 0, count)
if #ids == 0 then return {0, 0, before} end
in_chunks('ZREM', k_failed, ids)
in_chunks('HDEL', k_cancelled, ids)
local list = target_list()
local moved, placed = 0, {}
for _, id in ipairs(ids) do
  local key = base .. id
  -- An id whose hash is gone just leaves.
  if call('EXISTS', key) == 1 then
    local priority = call('HGET', key, 'priority')
    call('HDEL', key, 'finishedOn', 'processedOn', 'failedReason')
    moved = moved + 1
    placed[moved] = {id, tonumber(priority or 0) or 0}
  end
end
place(list, placed)
return {moved, #ids == count and 1 or 0, before}
