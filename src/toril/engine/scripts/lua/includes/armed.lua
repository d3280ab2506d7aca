--[[ armed
  Whether a job is the next run of a schedule. Bull makes the run after it when it is fetched, so that a schedule
  whose next run is deleted never runs again.

  needs keys
]]
local repeats = call('EXISTS', k_repeat) == 1
local function is_armed(id)
  if not repeats or string.sub(id, 1, 7) ~= 'repeat:' then return false end
  local readable, opts = pcall(cjson.decode, call('HGET', base .. id, 'opts') or '')
  local kept = readable and type(opts) == 'table' and opts['repeat']
  if type(kept) ~= 'table' or type(kept.key) ~= 'string' then return false end
  local next_run = call('ZSCORE', k_repeat, kept.key)
  next_run = number(next_run)
  return next_run ~= nil and next_run == number(opts.prevMillis)
end
