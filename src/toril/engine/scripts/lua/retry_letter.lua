--[[ retry_letter
  Put the job of a dead letter back into its queue, and delete the letter. If the failed job is still there it is
  retried, its attempts counted from none; otherwise it is added anew under its own id.

  KEYS[25…31] of the letters' queue: id, wait, paused, meta-paused, delayed, completed, failed
  ARGV[3] request     int  number of this call, counted by the caller `token`
  ARGV[4] letter      str  its id
  ARGV[5] id          str  the job's
  ARGV[6] name        str
  ARGV[7] data        str  for a job that is added anew
  ARGV[8] opts        str  JSON
  ARGV[9] timestamp   ms   when the job was created; '' if that is not known
  ARGV[10] priority   num  for a job that is added anew
  ARGV[11] lifo       0/1
  Returns 1 it is retried | 2 added anew | 0 no such letter | -1 a worker holds the letter | -2 a worker holds the job
    | -3 the job has not failed | -4 another job has the id; from 0 down nothing was changed
  Cost O(letters), plus O(window) for a prioritised job
]]
-- @include keys clock place
local request, letter, id, timestamp = ARGV[3], ARGV[4], ARGV[5], ARGV[9]
-- A call whose answer got lost comes again with the same number.
local number, told = string.match(call('HGET', k_producers, token) or '', '^(%d+) (.*)$')
if number == request then return tonumber(told) end

local letter_key = string.sub(KEYS[25], 1, -3) .. letter
if call('EXISTS', letter_key) == 0 then return 0 end
if call('EXISTS', letter_key .. ':lock') == 1 then return -1 end
local key = base .. id
local there = call('EXISTS', key) == 1
local priority = tonumber(ARGV[10])
if there then
  if tonumber(call('HGET', key, 'timestamp') or nil) ~= tonumber(timestamp) then return -4 end
  if call('EXISTS', key .. ':lock') == 1 then return -2 end
  if call('ZREM', k_failed, id) == 0 then return -3 end
  priority = tonumber(call('HGET', key, 'priority') or 0) or 0
  call('HDEL', key, 'finishedOn', 'processedOn', 'failedReason', 'stalledCounter')
  call('HSET', key, 'opts', ARGV[8], 'attemptsMade', 0, 'retriedOn', now)
else
  -- As with any job of a given id, the counter moves on; a number ahead of it has to be stepped over.
  local last = call('INCR', k_id)
  if string.match(id, '^%d+$') and tonumber(id) >= last then call('SET', k_numeric, 1) end
  call('HSET', key, 'name', ARGV[6], 'data', ARGV[7], 'opts', ARGV[8], 'timestamp', timestamp == '' and now or timestamp,
    'delay', 0, 'priority', ARGV[10])
end
call('HDEL', k_cancelled, id)
place(target_list(), {{id, priority, ARGV[11] == '1'}})
call('PUBLISH', base .. 'waiting@' .. token, id)

-- The oldest letters are at the right end.
call('LREM', KEYS[26], -1, letter)
call('LREM', KEYS[27], -1, letter)
for i = 29, 31 do call('ZREM', KEYS[i], letter) end
call('DEL', letter_key, letter_key .. ':logs')
local code = there and 1 or 2
if call('HLEN', k_producers) > 1000 then call('DEL', k_producers) end
call('HSET', k_producers, token, request .. ' ' .. code)
return code
