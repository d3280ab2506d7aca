--[[ advance
  The worker's one step: record the outcomes of a batch, promote what is due, and take the next jobs.

  ARGV[3] lock_ms  ms   life of the locks of taken jobs
  ARGV[4] want     int  how many jobs may be taken
  ARGV[5] limiter  str  '' or 'max ms 0|1' (1: by group)
  ARGV[6] metrics  int  minutes of metrics kept, 0 for none
  ARGV[7] drained  0/1  1: say so on the channel when there is nothing to take
  ARGV[8] claims   int  N; then N ids this worker moved to active by its blocking call
  then for each outcome 9 arguments: verb, id, fence of the attempt (see includes/fence.lua; with a minus sign if an
    earlier call may have recorded the outcome), and
    complete  return value (JSON), '', '', keep count, keep age (s), deid
    fail      reason, stack traces (JSON), attempts made, keep count, keep age (s), deid
    cancel    as fail, for a job that somebody cancelled: no dead letter
    retry     reason, stack traces (JSON), attempts made, lifo 0/1, priority, ''
    delay     reason, stack traces (JSON), attempts made, delay (ms), '', ''
    return    '', '', '', '', priority, ''        handed back, as if it had not been taken; those of one call keep
                                                  the order in which they were taken
  then the queue's name, if jobs that fail become dead letters: see includes/dead_letter.lua
  Returns {codes, jobs, dropped ids, next due ms or nil, jobs promoted, 1 if the queue is paused, now ms, fence of the
    jobs, troubles, limited}
    fewer jobs than wanted: there were no more, or the limiter held some back
    limited  nil | ms until the limiter lets another start | 0 there may be more, behind jobs of groups over the limit
    troubles: what and why, and so on, flat; what is the id of a job whose outcome could not be recorded or that could
      not be started, or '' for the taking of jobs as a whole. Each harms nothing but itself
    code 0 done | 1 was done before | 2 failed as cancelled instead | 3 failed without the dead letter | -1 no such job | -2 lock gone | -3 not active | -6 other's lock
      | -9 could not be recorded (see troubles); the job is as it was, and its outcome may be sent again
    job  {name, data, opts, timestamp, delay, priority, attemptsMade, stacktrace, progress, stalledCounter,
          deid, id, processedOn, '1' if it was cancelled on its way here}
  Cost O(1) for each outcome and job, plus what the keep policies remove
]]
-- @include keys clock fence chunks undo rows place debounce keep metrics finish policy rate_limit promote cancelled take dead_letter
local lock_ms, want, points = ARGV[3], number(ARGV[4]), number(ARGV[6])
local codes, troubles, placed, returned, taken_at = {}, {}, {}, {}, nil
local first = 9 + number(ARGV[8])
local list, paused = target_list()
local left -- the id that was taken out of active for the outcome at hand
local completed_channel, failed_channel = base .. 'completed', base .. 'failed'
local function ended(id, value)
  return '{"jobId":' .. cjson.encode(id) .. ',"val":' .. cjson.encode(value) .. '}'
end
local function record(at)
  local verb, id, a, b, c, d, e = ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6],
    ARGV[at + 7]
  if verb == 'return' and not taken_at then
    local places = {}
    for place, held in ipairs(call('LRANGE', k_active, 0, -1)) do places[held] = place end
    taken_at = places
  end
  local fence, resent = string.gsub(ARGV[at + 2], '^-', '')
  local code = leave_active(id, fence)
  if code ~= 0 then
    if resent == 1 and (code == -1 or code == -2) and
      (code == -1 or call('LPOS', k_active, id) == false) then
      return 1
    end
    return code
  end
  left = id
  local unwanted = marks_there and take_cancel_mark(id, call('HGET', base .. id, 'timestamp'))
  if unwanted and verb ~= 'complete' and verb ~= 'fail' and verb ~= 'cancel' then
    -- Somebody cancelled it while it ended in another way that would run it again.
    local fields = call('HMGET', base .. id, 'opts', 'deid')
    local count, age = stored_policy(fields[1], 'removeOnFail')
    end_debounce(fields[2])
    finish(k_failed, id, 'failedReason', 'cancelled', count, age, failed_channel, ended(id, 'cancelled'))
    count_metric(k_metrics_failed, points)
    return 2
  elseif verb == 'complete' then
    end_debounce(ARGV[at + 8])
    finish(k_completed, id, 'returnvalue', a, number(d) or -1, number(e) or -1, completed_channel, ended(id, a))
    count_metric(k_metrics_completed, points)
  elseif verb == 'fail' or verb == 'cancel' then
    save_attempt(id, a, b, c)
    if KEYS[25] and verb == 'fail' and not unwanted and not bury(id) then code = 3 end
    end_debounce(ARGV[at + 8])
    finish(k_failed, id, 'failedReason', a, number(d) or -1, number(e) or -1, failed_channel, ended(id, a))
    count_metric(k_metrics_failed, points)
  elseif verb == 'retry' then
    save_attempt(id, a, b, c)
    placed[#placed + 1] = {id, number(e) or 0, d == '1'}
  elseif verb == 'delay' then
    save_attempt(id, a, b, c)
    -- Some 285,000 years; a score holds no more.
    local due = now + math.min(number(d) or 0, 2 ^ 53)
    call('ZADD', k_delayed, due * 4096 + (number(id) or 0) % 4096, id)
    publish(base .. 'delayed', text_of(due))
  else
    returned[#returned + 1] = {id, number(e) or 0, false, true}
  end
  return code
end
local places = {}
for at = first, #ARGV - 8, 9 do
  local before = #locks
  left = nil
  local well, code = attempt(record, at)
  if not well then
    if left then back_to_active(left) end
    for i = #locks, before + 1, -1 do locks[i], shown_life[i] = nil, nil end
    troubles[#troubles + 1], troubles[#troubles + 2] = ARGV[at + 1], text_of_error(code)
    code = -9
  end
  codes[#codes + 1] = code
  places[#codes] = ARGV[at + 1]
end
-- Jobs handed back come out as they were taken; the newest is at the left end of active.
if taken_at then table.sort(returned, function(a, b) return (taken_at[a[1]] or 0) > (taken_at[b[1]] or 0) end) end
for _, job in ipairs(returned) do placed[#placed + 1] = job end
local put, why_not = true, nil
if #placed > 0 then put, why_not = attempt(place, list, placed) end
if not put then
  for _, job in ipairs(placed) do back_to_active(job[1]) end
end
flush_finished()
if next(unfinished) then
  for i, id in ipairs(places) do
    if unfinished[id] and codes[i] ~= -9 then
      codes[i] = -9
      troubles[#troubles + 1], troubles[#troubles + 2] = id, text_of_error(not put and why_not or not_finished)
    end
  end
end
settle_locks()

local promoted, next_due, jobs, ghosts, limited = 0, false, {}, {}, false
-- What is recorded is answered for, whatever becomes of this.
local well, trouble = pcall(function()
  promoted, next_due = promote_due()
  if want <= 0 then return end
  local max, ms, grouped = string.match(ARGV[5], '^(%S+) (%S+) (%d)$')
  if max then limit_max, limit_ms, limit_grouped = number(max), number(ms), grouped == '1' end
  local claimed = {}
  for at = 9, first - 1 do
    local id = ARGV[at]
    local holder = call('GET', base .. id .. ':lock')
    -- A claim may come too late: the job was put back, and somebody else has it or is done with it.
    if (not holder or is_own(holder)) and call('LPOS', k_active, id) then claimed[#claimed + 1] = id end
  end
  local allowed
  allowed, limited = room_for(math.max(want, #claimed))
  if #claimed > allowed then
    -- The limit was reached while the blocking call was under way.
    local back = {}
    for i = allowed + 1, #claimed do
      back[#back + 1] = claimed[i]
      claimed[i] = nil
    end
    put_back(list, back)
  end
  take(claimed, lock_ms, jobs, ghosts, troubles)
  if not paused and #claimed < allowed then
    local taken = #claimed
    -- Jobs of groups over their limit are passed, in steps that hold nobody up for long.
    local most = limit_grouped and allowed + 500 or allowed
    local overflowing = call('EXISTS', k_overflow) == 1
    while #jobs < allowed and taken < most do
      local count = math.min(allowed - #jobs, most - taken, 1000)
      if overflowing then
        -- What is overflowed comes before anything behind the window.
        count = math.min(count, refill(list) or count)
      end
      local ids = call('RPOP', k_wait, count)
      if not ids or #ids == 0 then break end
      local moved, why = pcall(call, 'LPUSH', k_active, unpack(ids))
      if not moved then
        local back = {}
        for i = #ids, 1, -1 do back[#back + 1] = ids[i] end
        try('RPUSH', k_wait, unpack(back))
        error(why, 0)
      end
      take(ids, lock_ms, jobs, ghosts, troubles)
      taken = taken + #ids
    end
    if overflowing then refill(list) end
    if limit_grouped and #jobs < allowed and taken >= most then limited = 0 end
  end
  park()
  if limit_max > 0 and not limited then
    local _
    _, limited = room_for(1)
  end
  if #jobs == 0 and not limited and ARGV[7] == '1' then publish(base .. 'drained', '') end
end)
if not well then troubles[#troubles + 1], troubles[#troubles + 2] = '', text_of_error(trouble) end
return {codes, jobs, ghosts, next_due, promoted, paused and 1 or 0, text_of(now), new_fence, troubles, limited}
