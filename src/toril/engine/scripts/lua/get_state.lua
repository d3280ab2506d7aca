--[[ get_state
  Where a job is at this moment.

  ARGV[3] id
  Returns completed | failed | delayed | active | waiting | paused | stuck (in no list, or gone)
  Cost O(1), plus O(active), plus O(waiting) for an unprioritised job that waits
]]
-- @include keys clock undo rows place
local id = ARGV[3]
if call('ZSCORE', k_completed, id) then return 'completed' end
if call('ZSCORE', k_failed, id) then return 'failed' end
if call('ZSCORE', k_delayed, id) then return 'delayed' end
if call('EXISTS', base .. id) == 0 then return 'stuck' end
if call('LPOS', k_active, id) then return 'active' end
local _, paused = target_list()
if call('ZSCORE', k_overflow, id) then return paused and 'paused' or 'waiting' end
-- Prioritised jobs are near the head, which is the right end.
local rank = call('ZSCORE', k_priority, id) and -1 or 1
if call('LPOS', k_wait, id, 'RANK', rank) then return 'waiting' end
if call('LPOS', k_paused, id, 'RANK', rank) then return 'paused' end
return 'stuck'
