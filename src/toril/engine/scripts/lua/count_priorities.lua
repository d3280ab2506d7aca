--[[ count_priorities
  How many jobs of each priority wait.

  ARGV[3…] priorities  num  0 is none
  Returns a number for each
  Cost O(log N) for each
]]
-- @include keys clock undo rows place
local counts = {}
local list = target_list()
for i = 3, #ARGV do
  local priority = number(ARGV[i]) or 0
  if priority == 0 then
    counts[#counts + 1] = math.max(0, call('LLEN', list) - call('ZCARD', k_priority))
  else
    local low = priority * LEVEL
    counts[#counts + 1] = call('ZCOUNT', k_priority, priority, priority) +
      call('ZCOUNT', k_overflow, low, low + LEVEL - 1)
  end
end
return counts
