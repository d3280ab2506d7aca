--[[ promote_delayed
  Move delayed jobs that are due into the queue, at most 1000.

  Returns {jobs moved, next due ms or nil, server's time ms}
  Cost O(log N) for each job
]]
-- @include keys clock undo rows place promote
local moved, next_due = promote_due()
return {moved, next_due, text_of(now)}
