--[[ end_debounce
  Forget which job is pending under a debounce id.

  ARGV[3] deid
  Returns 1 | 0 none was
  Cost O(1)
]]
-- @include keys
return call('DEL', base .. 'de:' .. ARGV[3])
