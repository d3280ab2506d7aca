--[[ advance
  The worker's one step: record the outcomes of a batch, promote what is due, and take the next jobs.

  ARGV[3] lock_ms  ms   life of the locks of taken jobs
  ARGV[4] want     int  how many jobs may be taken
  ARGV[5] limiter  str  '' or 'max ms 0|1' (1: by group)
  ARGV[6] metrics  int  minutes of metrics kept, 0 for none
  ARGV[7] drained  0/1  1: say so on the channel when there is nothing to take
  ARGV[8] claims   int  N; then N ids this worker moved to active by its blocking call. Behind a space the ms since it made
                        the call, if locks may have run out since: others may have put a job back, and started it; or we
                        did, in an answer that got lost. Nobody can tell which, so such a job is left to put_back_lost
  then for each outcome 9 arguments: verb, id, fence of the attempt (see includes/fence.lua; with a minus sign if an
    earlier call may have recorded the outcome), and
    complete  return value (JSON), data it leaves (JSON, '' as it is), '', keep count, keep age (s), deid
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
  Cost O(1) for each job; for each outcome a walk over those in active that were taken before it and still run, O(active)
    at worst (see leave_active), and twice that if its lock had run out; plus what the keep policies remove
]]
-- @include keys clock fence chunks undo rows place debounce keep metrics finish policy rate_limit promote cancelled take dead_letter requeued
local lock_ms, want, points = ARGV[3], number(ARGV[4]), number(ARGV[6])
local codes, troubles, placed, returned, taken_at, requeued = {}, {}, {}, {}, nil, nil
local claims, late = number(ARGV[8]), nil
if not claims then claims, late = string.match(ARGV[8], '^(%d+) (%d+)$') end
local first = 9 + claims
-- Mostly there is none of them.
local list, paused, overflowed = k_wait, false, false
if call('EXISTS', k_meta_paused, k_cancelled, k_overflow) > 0 then
  list, paused = target_list()
  marks_there, overflowed = call('EXISTS', k_cancelled) == 1, true
end
local left -- the id that was taken out of active for the outcome at hand
local encode, byte = cjson.encode, string.byte
local completed_channel, failed_channel = base .. 'completed', base .. 'failed'
local function ended(id, value)
  return '{"jobId":' .. encode(id) .. ',"val":' .. encode(value) .. '}'
end
local function record(at)
  local verb, id, a, b, c, d, e = ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6],
    ARGV[at + 7]
  if verb == 'return' and not taken_at then
    local places = {}
    for place, held in ipairs(call('LRANGE', k_active, 0, -1)) do places[held] = place end
    taken_at = places
  end
  local fence, resent = ARGV[at + 2], false
  if byte(fence) == 45 then fence, resent = string.sub(fence, 2), true end
  local code = leave_active(id, fence)
  if code ~= 0 then
    if resent and (code == -1 or code == -2) and
      (code == -1 or call('LPOS', k_active, id) == false) then
      return 1
    end
    return code
  end
  left = id
  local unwanted = marks_there and cancel_wanted(id, call('HGET', base .. id, 'timestamp'))
  if unwanted then
    -- Now that the job ends; a mark that went when it was taken would be forgotten with a lost answer.
    undo('HSET', k_cancelled, id, call('HGET', k_cancelled, id))
    call('HDEL', k_cancelled, id)
  end
  local again = verb == 'retry' or verb == 'delay'
  if verb == 'fail' or verb == 'cancel' or again and not unwanted then
    call('HSET', base .. id, 'failedReason', a, 'stacktrace', b, 'attemptsMade', c)
  end
  if (again or verb == 'return') and not unwanted then
    local started = call('HGET', base .. id, 'processedOn')
    if started and started ~= now_text then
      requeued = requeued or {}
      requeued[id] = started
    end
  end
  if unwanted and (again or verb == 'return') then
    -- Somebody cancelled it while it ended in another way that would run it again.
    local fields = call('HMGET', base .. id, 'opts', 'deid')
    local count, age = stored_policy(fields[1], 'removeOnFail')
    end_debounce(fields[2])
    finish(k_failed, id, 'failedReason', 'cancelled', count, age, failed_channel, ended(id, 'cancelled'))
    return 2
  elseif verb == 'complete' then
    if b ~= '' then
      undo('HSET', base .. id, 'data', call('HGET', base .. id, 'data'))
      call('HSET', base .. id, 'data', b)
    end
    end_debounce(ARGV[at + 8])
    finish(k_completed, id, 'returnvalue', a, d, e, completed_channel, ended(id, a))
  elseif verb == 'fail' or verb == 'cancel' then
    if KEYS[25] and verb == 'fail' and not unwanted and not bury(id) then code = 3 end
    end_debounce(ARGV[at + 8])
    finish(k_failed, id, 'failedReason', a, d, e, failed_channel, ended(id, a))
  elseif verb == 'retry' then
    placed[#placed + 1] = {id, number(e) or 0, d == '1'}
  elseif verb == 'delay' then
    -- Some 285,000 years; a score holds no more.
    local due = now + math.min(number(d) or 0, 2 ^ 53)
    call('ZADD', k_delayed, due * 4096 + (number(id) or 0) % 4096, id)
    publish(base .. 'delayed', text_of(due))
  else
    returned[#returned + 1] = {id, number(e) or 0, false, true}
  end
  return code
end
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
end
-- Jobs handed back come out as they were taken; the newest is at the left end of active.
if taken_at then table.sort(returned, function(a, b) return (taken_at[a[1]] or 0) > (taken_at[b[1]] or 0) end) end
for i = 1, #returned do placed[#placed + 1] = returned[i] end
local put, why_not = true, nil
if #placed > 0 then put, why_not = attempt(place, list, placed) end
if not put then
  for _, job in ipairs(placed) do back_to_active(job[1]) end
end
flush_finished()
if unfinished then
  for i = 1, #codes do
    local id = ARGV[first + (i - 1) * 9 + 1]
    if unfinished[id] and codes[i] ~= -9 then
      codes[i] = -9
      troubles[#troubles + 1], troubles[#troubles + 2] = id, text_of_error(not put and why_not or not_finished)
    end
  end
end
if requeued then
  local jobs = {}
  for id, started in pairs(requeued) do
    if not (unfinished and unfinished[id]) then jobs[#jobs + 1], jobs[#jobs + 2] = started, id end
  end
  pcall(note_requeued, jobs) -- without the note such a job is taken for a started one
end
settle_locks()
if points > 0 then
  local completed, failed = 0, 0
  for i = 1, #codes do
    local code, verb = codes[i], ARGV[first + (i - 1) * 9]
    if code == 2 or (code == 3 or code == 0) and (verb == 'fail' or verb == 'cancel') then
      failed = failed + 1
    elseif code == 0 and verb == 'complete' then
      completed = completed + 1
    end
  end
  if completed > 0 then pcall(count_metric, k_metrics_completed, points, completed) end
  if failed > 0 then pcall(count_metric, k_metrics_failed, points, failed) end
end

local promoted, next_due, jobs, ghosts, limited = 0, false, {}, {}, false
-- What is recorded is answered for, whatever becomes of this.
local well, trouble = pcall(function()
  promoted, next_due = promote_due()
  if want <= 0 then return end
  local grouped = false
  if ARGV[5] ~= '' then
    local max, ms, by_group = string.match(ARGV[5], '^(%S+) (%S+) (%d)$')
    grouped = by_group == '1'
    limiter = make_limiter(number(max), number(ms), grouped)
  end
  local claimed = {}
  for at = 9, first - 1 do
    local id = ARGV[at]
    local holder = call('GET', base .. id .. ':lock')
    -- A claim may come too late: the job was put back, and somebody else has it or is done with it. Who has the lock of
    -- a job that nobody started has that of an earlier one of its id, which was deleted by hand.
    local has_place = call('LPOS', k_active, id)
    if has_place and (not holder or is_own(holder) or (is_twice_in_active(id) and not was_started(id))) then
      -- Or has it without a lock, which it gets back: it started the job since our call, and the lock has run out.
      local ago = late and not holder and was_started(id) and
        now - (number(call('HGET', base .. id, 'processedOn')) or 0)
      if not (ago and ago < number(late) and ago >= number(lock_ms)) then claimed[#claimed + 1] = id end
    end
  end
  local allowed = #claimed > want and #claimed or want
  if limiter then allowed, limited = limiter.room_for(allowed) end
  if #claimed > allowed then
    -- The limit was reached while the blocking call was under way.
    local back = {}
    for i = allowed + 1, #claimed do
      back[#back + 1] = claimed[i]
      claimed[i] = nil
    end
    limiter.put_back(list, back)
  end
  take(claimed, lock_ms, jobs, ghosts, troubles)
  if not paused and #claimed < allowed then
    local taken = #claimed
    -- Jobs of groups over their limit are passed, in steps that hold nobody up for long.
    local most = grouped and allowed + 500 or allowed
    local overflowing = (overflowed or placement) and call('EXISTS', k_overflow) == 1
    while #jobs < allowed and taken < most do
      local count = math.min(allowed - #jobs, most - taken, 1000)
      if overflowing then
        -- What is overflowed comes before anything behind the window.
        count = math.min(count, placing().refill(list) or count)
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
    if overflowing then placing().refill(list) end
    if grouped and #jobs < allowed and taken >= most then limited = 0 end
  end
  if limiter then
    limiter.park()
    if not limited then
      local _
      _, limited = limiter.room_for(1)
    end
  end
  if #jobs == 0 and not limited and ARGV[7] == '1' then publish(base .. 'drained', '') end
end)
if not well then troubles[#troubles + 1], troubles[#troubles + 2] = '', text_of_error(trouble) end
return {codes, jobs, ghosts, next_due, promoted, paused and 1 or 0, now_text, new_fence, troubles, limited}
