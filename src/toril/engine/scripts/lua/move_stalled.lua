--[[ move_stalled
  Bull's two-pass check. A job in active that was there at the last check, has shown no life since and has no
  lock is put back at the head of the queue, or failed if it has stalled too often. Then everything now in
  active is marked for the next check.

  ARGV[3] max_stalled  int  stalls tolerated
  ARGV[4] interval     ms   nobody checks again within this time; behind a space the server's time (ms) after which
                            nothing is done: it was frozen on the way, and locks ran out meanwhile
  ARGV[5] queue        str  its name, if jobs that fail become dead letters: see includes/dead_letter.lua
  Returns {failed ids, stalled ids, dropped ids, failed ids that should have become dead letters and did not, troubles};
    troubles: id and reason, and so on, flat, of jobs that were left as they were, for the next check
  Cost O(active)
]]
-- @include keys clock chunks undo rows place debounce keep policy dead_letter requeued
local max_stalled = number(ARGV[3])
local interval, valid_until = string.match(ARGV[4], '^(%d+) ?(%d*)$')
if valid_until ~= '' and now > number(valid_until) then return {{}, {}, {}, {}, {}} end
if not call('SET', k_stalled_check, now, 'NX', 'PX', interval) then return {{}, {}, {}, {}, {}} end
local failed, stalled, dropped, unburied, troubles = {}, {}, {}, {}, {}
local list, back, requeued = target_list(), {}, {}
local taken = {} -- how to put into active again what is to be placed
local function settle_suspect(id)
  local key, mark = base .. id, #steps
  if call('EXISTS', key .. ':lock') == 1 then return end
  local fields = try('HMGET', key, 'opts', 'priority', 'deid', 'name', 'data', 'processedOn')
  if fields.err and not string.find(fields.err, 'WRONGTYPE', 1, true) then error(fields, 0) end
  if call('LREM', k_active, -1, id) == 0 then return end
  undo('RPUSH', k_active, id)
  local done = has_finished(id)
  if done or fields.err or not (fields[1] or fields[4] or fields[5]) then
    if not done and not fields.err then call('DEL', key) end
    dropped[#dropped + 1] = id
    return
  end
  local stalls = call('HINCRBY', key, 'stalledCounter', 1)
  undo('HINCRBY', key, 'stalledCounter', -1)
  if stalls > max_stalled then
    local count, age = stored_policy(fields[1], 'removeOnFail')
    call('HSET', key, 'failedReason', 'job stalled more than allowable limit', 'finishedOn', now)
    undo('HDEL', key, 'failedReason', 'finishedOn')
    call('ZADD', k_failed, now, id)
    undo('ZREM', k_failed, id)
    local buried = not KEYS[25] or bury(id)
    end_debounce(fields[3])
    if count == 0 then
      call('ZREM', k_failed, id)
      undo('ZADD', k_failed, now, id)
      forget({id})
    elseif count > 0 or age >= 0 then
      pcall(trim, k_failed, count, age)
    end
    if not buried then unburied[#unburied + 1] = id end
    failed[#failed + 1] = id
    publish(base .. 'failed', '{"jobId":' .. cjson.encode(id) .. ', "val": "job stalled more than maxStalledCount"}')
  else
    -- A job that was handed to a worker comes first again. A blocking call leaves its priority behind.
    call('ZREM', k_priority, id)
    back[#back + 1] = {id, number(fields[2]) or 0, false, true}
    if fields[6] and fields[6] ~= now_text then requeued[#requeued + 1], requeued[#requeued + 2] = fields[6], id end
    for i = mark + 1, #steps do taken[#taken + 1] = steps[i] end
  end
end
local suspects = {}
for _, id in ipairs(call('SMEMBERS', k_stalled)) do suspects[id] = true end
local held = call('LRANGE', k_active, 0, -1)
-- Those taken first are at the right end; they keep their order.
for i = #held, 1, -1 do
  local id = held[i]
  if suspects[id] then
    suspects[id] = nil
    local well, trouble = attempt(settle_suspect, id)
    if not well then troubles[#troubles + 1], troubles[#troubles + 2] = id, text_of_error(trouble) end
  end
end
local well, trouble = attempt(place, list, back)
for _, job in ipairs(back) do
  if well then
    stalled[#stalled + 1] = job[1]
    publish(base .. 'stalled@', job[1])
  else
    troubles[#troubles + 1], troubles[#troubles + 2] = job[1], text_of_error(trouble)
  end
end
if well then pcall(note_requeued, requeued) else take_back(taken, 0) end
-- Last, so that a check that fails as a whole finds the same suspects again.
call('DEL', k_stalled)
in_chunks('SADD', k_stalled, call('LRANGE', k_active, 0, -1))
return {failed, stalled, dropped, unburied, troubles}
