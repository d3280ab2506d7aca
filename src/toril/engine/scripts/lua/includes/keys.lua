--[[ keys
  The queue's keys, the same list for every script (Python: keys.SCRIPT_KEYS), and the arguments all share.

  What is written k_… here and in the scripts is KEYS[n] in what the server gets: see the loader.

  ARGV[1] base   str  prefix of the queue's keys, with the last colon
  ARGV[2] token  str  who calls: names the sender of events, and owns locks
]]
local k_id, k_wait, k_paused, k_meta_paused, k_meta, k_active, k_delayed, k_priority, k_completed, k_failed,
  k_stalled, k_stalled_check, k_repeat, k_limiter, k_limiter_index, k_metrics_completed, k_metrics_failed,
  k_overflow, k_edge, k_workers, k_producers, k_cancelled, k_schedules, k_numeric = unpack(KEYS)
local base, token = ARGV[1], ARGV[2]
local call, try = redis.call, redis.pcall
-- Looking up a global takes the server longer than all else that a line does.
local ARGV, pcall, unpack, tonumber = ARGV, pcall, unpack, tonumber

-- A finite number, or nil. Lua alone would read 'nan', 'inf' and '1e999' as numbers too, which no score may be and no sum
-- survives.
local function number(text)
  local value = tonumber(text)
  if value and value - value == 0 then return value end
end
-- Nobody's job may depend on whether a message could be sent; a user without rights on channels has none.
local function publish(channel, message)
  try('PUBLISH', channel, message)
end
-- A server without memory refuses commands that could take some, but only as the first write of a script, so that none
-- ends half way. Whatever gets rid of jobs, by running them or otherwise, is not to be refused: it begins with a write
-- that takes nothing.
local function need_no_memory()
  try('DEL', base .. 'toril:nothing')
end
local function is_out_of_memory(trouble)
  local text = type(trouble) == 'table' and trouble.err or tostring(trouble)
  return string.find(text, 'OOM', 1, true) ~= nil
end
-- What went wrong with one job, for the caller. What the whole server refuses for a time (a replica since a fail-over, a disk
-- that is full) is nobody's fault: it ends the script, which the caller then sends again.
local passing = {READONLY = true, MISCONF = true, NOREPLICAS = true, MASTERDOWN = true, CLUSTERDOWN = true}
local function text_of_error(trouble)
  local text = type(trouble) == 'table' and trouble.err or tostring(trouble)
  if passing[string.match(text, '^[^%u]*(%u+) ') or ''] then error(text, 0) end
  return text
end
