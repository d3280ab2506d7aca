--[[ arm_schedule
  Add the next run of a repeatable job, in one step or not at all, unless the schedule has a run on its way.

  ARGV[3] why      str  add: somebody adds the schedule | next: a run was taken | heal: its run got lost
  ARGV[4] key      str  of the schedule
  ARGV[5] prefix   str  how the ids of its runs start
  ARGV[6] due      ms   time of the run to add
  ARGV[7] since    ms   next: time of the run that was taken | heal: score of the schedule when its run was missed
  ARGV[8] source   str  next: id of the run that was taken; its data is copied when data is ''
  ARGV[9] name     str
  ARGV[10] data    str  JSON, or ''
  ARGV[11] opts    str  JSON of the run's options without the last brace: delay and timestamp go in here
  ARGV[12] priority num
  ARGV[13] count   int  number of the run
  ARGV[14] template str JSON of the options without what belongs to one run; for later runs
  Returns {code, id, due ms, delay ms, server's time ms}
    code 1 added | 0 there is one already: its id and due time (next and heal: the schedule's) | -1 the schedule was
    removed | -2 the run that was taken is gone, and its data with it
  Cost O(log N)
]]
-- @include keys clock undo rows place schedule
local why, key, prefix, due, since, source = ARGV[3], ARGV[4], ARGV[5], ARGV[6], number(ARGV[7]), ARGV[8]
local name, data, opts, priority, count, template = ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13], ARGV[14]
local score = number(call('ZSCORE', k_repeat, key))
if why ~= 'add' and not score then return {-1, '', '', 0, text_of(now)} end
if data == '' then
  data = call('HGET', base .. source, 'data')
  if not data then return {-2, '', '', 0, text_of(now)} end
end
if score then
  local current = prefix .. text_of(score)
  local state = run_state(current)
  local settled = why == 'add' or (why == 'next' and score > since) or (why == 'heal' and score == since)
  if (settled and state == 'pending') or (why == 'heal' and score ~= since) then
    if why == 'add' then
      call('INCR', k_id)
      publish(base .. 'duplicated@' .. token, current)
      -- The run on its way keeps its data; those after it get the new, which has to be newer than that run.
      local armed = call('HMGET', base .. current, 'opts', 'timestamp')
      local at = math.max(now, (number(armed[2]) or 0) + 1)
      remember(key, text_of(at), count_of(armed[1]), prefix, name, data, template)
    end
    return {0, current, text_of(score), 0, text_of(now)}
  end
  if state == 'lost' then call('DEL', base .. current, base .. current .. ':logs') end
end
local id = prefix .. due
local delay = math.max(0, (number(due) or 0) - now)
return whole(function()
  local number_of_job = call('INCR', k_id)
  if score then undo('ZADD', k_repeat, text_of(score), key) else undo('ZREM', k_repeat, key) end
  call('ZADD', k_repeat, due, key)
  local before = call('HGET', k_schedules, key)
  if before then undo('HSET', k_schedules, key, before) else undo('HDEL', k_schedules, key) end
  remember(key, text_of(now), count, prefix, name, data, template)
  if call('EXISTS', base .. id) == 1 then
    publish(base .. 'duplicated@' .. token, id)
    return {0, id, due, 0, text_of(now)}
  end
  undo('DEL', base .. id)
  call('HSET', base .. id, 'name', name, 'data', data, 'timestamp', text_of(now), 'delay', text_of(delay),
    'priority', priority,
    'opts', opts .. ',"delay":' .. text_of(delay) .. ',"timestamp":' .. text_of(now) .. '}')
  if delay > 0 then
    call('ZADD', k_delayed, due * 4096 + number_of_job % 4096, id)
    publish(base .. 'delayed', due)
  else
    place(target_list(), {{id, number(priority) or 0}})
    publish(base .. 'waiting@' .. token, id)
  end
  return {1, id, due, text_of(delay), text_of(now)}
end)
