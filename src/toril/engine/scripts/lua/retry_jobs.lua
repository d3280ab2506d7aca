--[[ retry_jobs
  Put failed jobs back into the queue, the oldest failure first. As with Bull nothing is published. All that
  are looked at move, or none.

  ARGV[3] count   int  most jobs in this step
  ARGV[4] before  ms   only jobs that failed until then; '' for now
  Returns {jobs moved, 1 if there may be more, the time used as `before`}
  Cost O(log N) for each job
]]
-- @include keys clock undo rows place failed_again
local count = number(ARGV[3])
local before = ARGV[4] == '' and text_of(now) or ARGV[4]
local ids = call('ZRANGEBYSCORE', k_failed, '-inf', before, 'LIMIT', 0, count)
if #ids == 0 then return {0, 0, before} end
return whole(function()
  local placed = {}
  for _, id in ipairs(ids) do
    -- An id whose hash is gone just leaves.
    if call('EXISTS', base .. id) == 0 then
      call('ZREM', k_failed, id)
    else
      placed[#placed + 1] = {id, number(out_of_failed(id)[1]) or 0}
    end
  end
  place(target_list(), placed)
  return {#placed, #ids == count and 1 or 0, before}
end)
