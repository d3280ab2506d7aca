--[[ restore_overflow
  Without a living Toril worker: put overflowed jobs back into the list, where Node sees them; see place.

  ARGV[3] done  0/1  whether the caller, who made a bridge with its adds, has no more of them
  Returns {jobs left in the overflow (call again until 0), ms until a bridge ends}; 0 and 0 if a worker lives
  Cost O(window), plus a bounded step of restoring
]]
-- @include keys clock undo rows place
if ARGV[3] == '1' then call('ZREM', k_workers, 'adds') end
local list = target_list()
local alive, who = placing().worker_alive()
if not alive then return {placing().restore(list, 1000), 0} end
if who ~= 'adds' then return {0, 0} end
-- Node's workers may have emptied the window meanwhile.
placing().refill(list)
return {0, math.ceil((number(call('ZSCORE', k_workers, who)) or now) - now)}
