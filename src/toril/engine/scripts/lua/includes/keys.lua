--[[ keys
  The queue's keys, the same list for every script (Python: keys.SCRIPT_KEYS), and the arguments all share.

  ARGV[1] base   str  prefix of the queue's keys, with the last colon
  ARGV[2] token  str  who calls: names the sender of events, and owns locks
]]
local k_id, k_wait, k_paused, k_meta_paused, k_meta, k_active, k_delayed, k_priority, k_completed, k_failed,
  k_stalled, k_stalled_check, k_repeat, k_limiter, k_limiter_index, k_metrics_completed, k_metrics_failed,
  k_overflow, k_edge, k_workers, k_producers, k_cancelled, k_schedules, k_numeric = unpack(KEYS)
local base, token = ARGV[1], ARGV[2]
local call = redis.call
