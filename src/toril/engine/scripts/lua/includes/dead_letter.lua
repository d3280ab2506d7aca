--[[ dead_letter
  A copy of a job that fails for good, put into another queue, where it waits as an ordinary job of Bull's. The call
  that lets the job fail makes it, so that there is one for each such failure, no more and no less.

  KEYS[25…28] of that queue: id, wait, paused, meta-paused; without them nothing is copied
  ARGV[last]  str  name of the queue of the job, only with these keys
  The copy's id is '<n>:<queue>:<job id>', with n from that queue's counter. What is no JSON is kept as a text, and
  named by `unreadable`.
  needs keys, clock, undo
]]
-- To be called when the hash holds the failure, and before it may be deleted. Returns false if there is no copy, since
-- something else than a queue is there.
local strict
local function bury(id)
  -- JSON text as it is, anything else as a JSON string; and whether it was something else.
  local function json_or_text(text)
    if not strict then
      strict = cjson.new()
      strict.decode_invalid_numbers(false)
    end
    if pcall(strict.decode, text) and not string.find(text, '%c') then return text, false end
    return cjson.encode(text), true
  end
  local function number_or_null(text)
    local value = number(text)
    return value and text_of(value) or 'null'
  end
  -- Whether a key is something else than a queue's; any other trouble is raised.
  local function is_foreign(reply)
    if type(reply) == 'number' then return false end
    if string.find(reply.err, 'WRONGTYPE', 1, true) or string.find(reply.err, 'not an integer', 1, true) then
      return true
    end
    error(reply, 0)
  end
  local k_dead_id, k_dead_wait, k_dead_paused, k_dead_meta_paused = KEYS[25], KEYS[26], KEYS[27], KEYS[28]
  local dead_base, queue = string.sub(k_dead_id, 1, -3), ARGV[#ARGV]
  local letter
  repeat
    local n = try('INCR', k_dead_id)
    if is_foreign(n) then return false end
    letter = text_of(n) .. ':' .. queue .. ':' .. id
  until call('EXISTS', dead_base .. letter) == 0
  local fields = call('HMGET', base .. id, 'name', 'data', 'opts', 'failedReason', 'stacktrace', 'attemptsMade',
    'stalledCounter', 'timestamp', 'processedOn')
  local name = fields[1] or '__default__'
  local data, data_bad = json_or_text(fields[2] or '{}')
  local opts, opts_bad = json_or_text(fields[3] or '{}')
  local traces, traces_bad = json_or_text(fields[5] or '[]')
  local unreadable = {}
  undo('DEL', dead_base .. letter)
  if data_bad then unreadable[#unreadable + 1] = '"data"' end
  if opts_bad then unreadable[#unreadable + 1] = '"opts"' end
  if traces_bad then unreadable[#unreadable + 1] = '"stacktrace"' end
  call('HSET', dead_base .. letter,
    'name', name,
    'data', '{"queue":' .. cjson.encode(queue) .. ',"jobId":' .. cjson.encode(id) .. ',"name":' .. cjson.encode(name) ..
      ',"data":' .. data .. ',"opts":' .. opts .. ',"failedReason":' .. cjson.encode(fields[4] or '') ..
      ',"stacktrace":' .. traces .. ',"attemptsMade":' .. number_or_null(fields[6] or '0') ..
      ',"stalledCounter":' .. number_or_null(fields[7] or '0') .. ',"timestamp":' .. number_or_null(fields[8]) ..
      ',"processedOn":' .. number_or_null(fields[9]) .. ',"failedAt":' .. text_of(now) ..
      ',"unreadable":[' .. table.concat(unreadable, ',') .. ']}',
    'opts', '{"attempts":1,"delay":0,"jobId":' .. cjson.encode(letter) .. ',"timestamp":' .. text_of(now) .. '}',
    'timestamp', text_of(now), 'delay', 0, 'priority', 0)
  local list = call('EXISTS', k_dead_meta_paused) == 1 and k_dead_paused or k_dead_wait
  if is_foreign(try('LPUSH', list, letter)) then
    call('DEL', dead_base .. letter)
    return false
  end
  undo('LREM', list, 1, letter)
  publish(dead_base .. 'waiting@' .. token, letter)
  return true
end
