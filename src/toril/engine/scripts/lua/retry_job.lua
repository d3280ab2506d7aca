--[[ retry_job
  Put a failed job back into the queue, where one of its priority goes.

  ARGV[3] id
  Returns 1 | 0 no such job | -1 a worker holds it | -2 it has not failed; then nothing was changed
  Cost O(1), or O(window) for a prioritised job
]]
-- @include keys clock place
local id = ARGV[3]
local key = base .. id
local fields = call('HMGET', key, 'priority', 'opts')
if call('EXISTS', key) == 0 then return 0 end
if call('EXISTS', key .. ':lock') == 1 then return -1 end
if call('ZREM', k_failed, id) == 0 then return -2 end
call('HDEL', key, 'finishedOn', 'processedOn', 'failedReason')
call('HSET', key, 'retriedOn', now)
call('HDEL', k_cancelled, id)
local readable, opts = pcall(cjson.decode, fields[2] or '')
local lifo = readable and type(opts) == 'table' and opts.lifo == true
local list = target_list()
place(list, {{id, tonumber(fields[1] or 0) or 0, lifo}})
call('PUBLISH', base .. 'waiting@' .. token, id)
return 1
