--[[ check_schedules
  Find schedules that have no run on its way, and learn from the runs of the others what their jobs are made of,
  so that a run deleted later can be replaced.

  ARGV[3] tidy  0/1  1: forget what is remembered of schedules that were removed
  then for each schedule 2 arguments: its key, and how the ids of its runs start as far as the key tells
  Returns {key, score ms, prefix, state, key, …} of the schedules without a run; state as in includes/schedule
  Cost O(log N) for each schedule
]]
-- @include keys clock schedule
if ARGV[3] == '1' then
  for _, key in ipairs(call('HKEYS', k_schedules)) do
    if not call('ZSCORE', k_repeat, key) then call('HDEL', k_schedules, key) end
  end
end
local idle = {}
for at = 4, #ARGV, 2 do
  local key = ARGV[at]
  local score = call('ZSCORE', k_repeat, key)
  if score then
    local since, prefix = remembered(key)
    prefix = prefix or ARGV[at + 1]
    local due = text_of(number(score) or 0)
    local id = prefix .. due
    local state = run_state(id)
    if state == 'pending' then
      local fields = call('HMGET', base .. id, 'timestamp', 'name', 'data', 'opts')
      local made = number(fields[1])
      if made and fields[2] and fields[3] and (not since or made > (number(since) or 0)) then
        remember(key, text_of(made), count_of(fields[4]), prefix, fields[2], fields[3], fields[4])
      end
    else
      for _, part in ipairs({key, due, prefix, state}) do idle[#idle + 1] = part end
    end
  end
end
return idle
