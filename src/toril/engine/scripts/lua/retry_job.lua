--[[ retry_job
  Put a failed job back into the queue, where one of its priority goes.

  ARGV[3] id
  Returns 1 | 0 no such job | -1 a worker holds it | -2 it has not failed; then nothing was changed
  Cost O(1), or O(window) for a prioritised job
]]
-- @include keys clock undo rows place failed_again
local id = ARGV[3]
local key = base .. id
if call('EXISTS', key) == 0 then return 0 end
if call('EXISTS', key .. ':lock') == 1 then return -1 end
if not call('ZSCORE', k_failed, id) then return -2 end
whole(function()
  local fields = out_of_failed(id)
  local readable, opts = pcall(cjson.decode, fields[2] or '')
  local lifo = readable and type(opts) == 'table' and opts.lifo == true
  place(target_list(), {{id, number(fields[1]) or 0, lifo}})
end)
publish(base .. 'waiting@' .. token, id)
return 1
