--[[ get_result
  Whether a job has finished, and how.

  ARGV[3] id
  Returns {1, return value (JSON) or nil} completed | {2, reason or nil} failed | {0} not finished | {-1} no such job
  Cost O(1)
]]
-- @include keys
local id = ARGV[3]
if call('ZSCORE', k_completed, id) then return {1, call('HGET', base .. id, 'returnvalue')} end
if call('ZSCORE', k_failed, id) then return {2, call('HGET', base .. id, 'failedReason')} end
if call('EXISTS', base .. id) == 0 then return {-1} end
return {0}
