--[[ move_stalled
  Bull's two-pass check. A job in active that was there at the last check, has shown no life since and has no
  lock is put back at the head of the queue, or failed if it has stalled too often. Then everything now in
  active is marked for the next check.

  ARGV[3] max_stalled  int  stalls tolerated
  ARGV[4] interval     ms   nobody checks again within this time
  ARGV[5] queue        str  its name, if jobs that fail become dead letters: see includes/dead_letter.lua
  Returns {failed ids, stalled ids, dropped ids}, and with dead letters the failed ids that became none
  Cost O(active)
]]
-- @include keys clock chunks place debounce keep dead_letter
local max_stalled, interval = tonumber(ARGV[3]), ARGV[4]
if not redis.call('SET', k_stalled_check, now, 'NX', 'PX', interval) then return {{}, {}, {}} end
local failed, stalled, dropped, unburied = {}, {}, {}, KEYS[25] and {} or nil
local suspects = {}
for _, id in ipairs(redis.call('SMEMBERS', k_stalled)) do suspects[id] = true end
redis.call('DEL', k_stalled)
local held = redis.call('LRANGE', k_active, 0, -1)
local list, back = target_list(), {}
-- Those taken first are at the right end; they keep their order.
for i = #held, 1, -1 do
  local id = held[i]
  local key = base .. id
  if suspects[id] and redis.call('EXISTS', key .. ':lock') == 0 and redis.call('LREM', k_active, -1, id) > 0 then
    suspects[id] = nil
    local fields = redis.call('HMGET', key, 'opts', 'priority', 'deid', 'name', 'data')
    if not (fields[1] or fields[4] or fields[5]) then
      redis.call('DEL', key)
      dropped[#dropped + 1] = id
    elseif redis.call('HINCRBY', key, 'stalledCounter', 1) > max_stalled then
      redis.call('HSET', key, 'failedReason', 'job stalled more than allowable limit', 'finishedOn', now)
      redis.call('ZADD', k_failed, now, id)
      if unburied and not bury(id) then unburied[#unburied + 1] = id end
      end_debounce(fields[3])
      redis.call('PUBLISH', base .. 'failed',
        '{"jobId":' .. cjson.encode(id) .. ', "val": "job stalled more than maxStalledCount"}')
      local readable, opts = pcall(cjson.decode, fields[1] or '{}')
      local keep = readable and type(opts) == 'table' and opts.removeOnFail
      if keep == true or keep == 0 or (type(keep) == 'table' and keep.count == 0) then
        redis.call('ZREM', k_failed, id)
        forget({id})
      elseif type(keep) == 'number' then
        trim(k_failed, keep, -1)
      elseif type(keep) == 'table' then
        trim(k_failed, tonumber(keep.count) or -1, tonumber(keep.age) or -1)
      end
      failed[#failed + 1] = id
    else
      -- A job that was handed to a worker comes first again. A blocking call leaves its priority behind.
      redis.call('ZREM', k_priority, id)
      local priority = tonumber(fields[2] or 0) or 0
      back[#back + 1] = {id, priority, false, true}
      redis.call('PUBLISH', base .. 'stalled@', id)
      stalled[#stalled + 1] = id
    end
  end
end
place(list, back)
local active = redis.call('LRANGE', k_active, 0, -1)
in_chunks('SADD', k_stalled, active)
return {failed, stalled, dropped, unburied}
