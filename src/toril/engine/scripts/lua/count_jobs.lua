--[[ count_jobs
  How many jobs there are in each state, at one moment.

  Returns {waiting, active, completed, failed, delayed, paused}
  Cost O(1)
]]
-- @include keys clock undo rows place
local _, paused = target_list()
local overflowed = call('ZCARD', k_overflow)
return {
  call('LLEN', k_wait) + (paused and 0 or overflowed), call('LLEN', k_active), call('ZCARD', k_completed),
  call('ZCARD', k_failed), call('ZCARD', k_delayed), call('LLEN', k_paused) + (paused and overflowed or 0)
}
