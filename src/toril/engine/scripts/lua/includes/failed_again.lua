--[[ failed_again
  Take a job out of failed, to run again. To be done within undo, before it is placed.

  needs keys, clock, undo
]]
-- Returns its priority and its options, as stored.
local function out_of_failed(id)
  local key = base .. id
  local score = call('ZSCORE', k_failed, id)
  local fields = call('HMGET', key, 'priority', 'opts', 'finishedOn', 'processedOn', 'failedReason', 'retriedOn')
  undo(function()
    for i, name in ipairs({'finishedOn', 'processedOn', 'failedReason', 'retriedOn'}) do
      if fields[i + 2] then call('HSET', key, name, fields[i + 2]) else call('HDEL', key, name) end
    end
  end)
  call('HDEL', key, 'finishedOn', 'processedOn', 'failedReason')
  call('HSET', key, 'retriedOn', now)
  call('HDEL', k_cancelled, id)
  undo('ZADD', k_failed, score, id)
  call('ZREM', k_failed, id)
  return fields
end
