--[[ retry_letter
  Put the job of a dead letter back into its queue, and delete the letter. If the failed job is still there it is
  retried, its attempts counted from none; otherwise it is added anew under its own id.

  KEYS[25…31] of the letters' queue: id, wait, paused, meta-paused, delayed, completed, failed
  ARGV[3] letter      str  its id
  ARGV[4] id          str  the job's
  ARGV[5] name        str
  ARGV[6] data        str  for a job that is added anew
  ARGV[7] opts        str  JSON
  ARGV[8] timestamp   ms   when the job was created; '' if that is not known
  ARGV[9] priority    num  for a job that is added anew
  ARGV[10] lifo       0/1
  Returns 1 it is retried | 2 added anew | 0 no such letter | -1 a worker holds the letter | -2 a worker holds the job
    | -3 the job has not failed | -4 another job has the id; from 0 down nothing was changed
  Cost O(letters), plus O(window) for a prioritised job
]]
-- @include keys clock undo rows place failed_again
local letter, id, timestamp = ARGV[3], ARGV[4], ARGV[8]
local letter_key = string.sub(KEYS[25], 1, -3) .. letter
if call('EXISTS', letter_key) == 0 then return 0 end
if call('EXISTS', letter_key .. ':lock') == 1 then return -1 end
local key = base .. id
local there = call('EXISTS', key) == 1
local priority = number(ARGV[9]) or 0
if there then
  if number(call('HGET', key, 'timestamp')) ~= number(timestamp) then return -4 end
  if call('EXISTS', key .. ':lock') == 1 then return -2 end
  if not call('ZSCORE', k_failed, id) then return -3 end
end
return whole(function()
  if there then
    local before = call('HMGET', key, 'opts', 'attemptsMade', 'stalledCounter')
    priority = number(out_of_failed(id)[1]) or 0
    undo(function()
      for i, name in ipairs({'opts', 'attemptsMade', 'stalledCounter'}) do
        if before[i] then call('HSET', key, name, before[i]) else call('HDEL', key, name) end
      end
    end)
    call('HDEL', key, 'stalledCounter')
    call('HSET', key, 'opts', ARGV[7], 'attemptsMade', 0)
  else
    -- As with any job of a given id, the counter moves on; a number ahead of it has to be stepped over.
    local last = call('INCR', k_id)
    if string.match(id, '^%d+$') and number(id) >= last then call('SET', k_numeric, 1) end
    undo('DEL', key)
    call('HSET', key, 'name', ARGV[5], 'data', ARGV[6], 'opts', ARGV[7], 'timestamp',
      timestamp == '' and now or timestamp, 'delay', 0, 'priority', ARGV[9])
    call('HDEL', k_cancelled, id)
  end
  place(target_list(), {{id, priority, ARGV[10] == '1'}})

  local code = there and 1 or 2
  -- The oldest letters are at the right end.
  for i = 26, 27 do
    if call('LREM', KEYS[i], -1, letter) > 0 then undo('RPUSH', KEYS[i], letter) end
  end
  for i = 29, 31 do
    local score = call('ZSCORE', KEYS[i], letter)
    if score then
      undo('ZADD', KEYS[i], score, letter)
      call('ZREM', KEYS[i], letter)
    end
  end
  call('DEL', letter_key, letter_key .. ':logs')
  publish(base .. 'waiting@' .. token, id)
  return code
end)
