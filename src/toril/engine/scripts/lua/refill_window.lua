--[[ refill_window
  Fill the window of prioritised jobs when it runs low; see place. For when Node's workers have emptied it.

  Returns 1 if jobs are overflowed still, else 0
  Cost O(window)
]]
-- @include keys clock undo rows place
return placing().refill(target_list()) and 1 or 0
