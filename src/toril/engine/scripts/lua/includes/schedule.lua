--[[ schedule
  A schedule is a member of the repeat zset, scored by its next run, which is a job of its own. Beside it
  k_schedules remembers what its runs are made from:
    {"at": when this was stored (ms), "count": number of the last run armed, "prefix": how the runs' ids start,
     "name": of its jobs, "data": their JSON, "opts": JSON of their options}

  needs keys, clock
]]
local function remember(key, at, count, prefix, name, data, opts)
  call('HSET', k_schedules, key, '{"at":' .. at .. ',"count":' .. count .. ',"prefix":' ..
    cjson.encode(prefix) .. ',"name":' .. cjson.encode(name) .. ',"data":' .. cjson.encode(data) .. ',"opts":' ..
    cjson.encode(opts) .. '}')
end

-- When a schedule was remembered, and its prefix; nothing if it is not.
local function remembered(key)
  return string.match(call('HGET', k_schedules, key) or '', '^{"at":([%d.]+),"count":%d+,"prefix":"([^"]+)"')
end

-- The number of a run, as its options say.
local function count_of(opts)
  local readable, read = pcall(cjson.decode, opts)
  local options = readable and type(read) == 'table' and read['repeat']
  return string.format('%.0f', type(options) == 'table' and number(options.count) or 0)
end

-- What became of a run: none (no such job), over (finished), lost, or pending: it waits, runs, or is to be tried
-- again. Lost is one in no list although it was never promoted; Node's empty() leaves such behind.
local function run_state(id)
  local fields = call('HMGET', base .. id, 'opts', 'delay', 'processedOn', 'finishedOn')
  if not fields[1] then return 'none' end
  if fields[4] then return 'over' end
  if fields[2] == '0' or fields[3] or call('ZSCORE', k_delayed, id) then return 'pending' end
  return 'lost'
end
