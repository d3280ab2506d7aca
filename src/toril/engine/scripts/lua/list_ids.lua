--[[ list_ids
  Ids of the jobs in one state. What is overflowed belongs to waiting (or to paused) in its right place: behind
  the window, before the rest of the list.

  ARGV[3] state  str  waiting | paused | active | delayed | completed | failed
  ARGV[4] start  int  first place; negative ones count from the end
  ARGV[5] stop   int  last place, included
  ARGV[6] asc    0/1  1: the next to run, the first due or the oldest first; 0: the other way round
  Returns ids
  Cost O(length of the range), plus what the server needs to find its start
]]
-- @include keys clock chunks undo rows place
local state, start, stop, asc = ARGV[3], number(ARGV[4]), number(ARGV[5]), ARGV[6] == '1'
local sets = {completed = k_completed, failed = k_failed, delayed = k_delayed}
if sets[state] then return call(asc and 'ZRANGE' or 'ZREVRANGE', sets[state], start, stop) end

local list = state == 'active' and k_active or state == 'paused' and k_paused or k_wait
local length, overflowed, window = call('LLEN', list), 0, 0
if list == target_list() then
  local first = placing().overflow_first()
  if first then
    overflowed = call('ZCARD', k_overflow)
    window = placing().window_length(list, first, not placing().worker_alive())
  end
end
local total = length + overflowed
if start < 0 then start = math.max(0, start + total) end
if stop < 0 then stop = stop + total end
stop = math.min(stop, total - 1)
if not asc then start, stop = total - 1 - stop, total - 1 - start end
if start > stop then return {} end

local ids = {}
-- The part of [start, stop] that lies in [from, to), whose places begin with 0.
local function part(from, to)
  local first, last = math.max(start, from) - from, math.min(stop, to - 1) - from
  return first <= last and first, last
end
local function from_list(from, to, offset)
  local first, last = part(from, to)
  if not first then return end
  local found = call('LRANGE', list, -offset - last - 1, -offset - first - 1)
  for i = #found, 1, -1 do ids[#ids + 1] = found[i] end
end
from_list(0, window, 0)
local first, last = part(window, window + overflowed)
if first then
  for _, id in ipairs(call('ZRANGE', k_overflow, first, last)) do ids[#ids + 1] = id end
end
from_list(window + overflowed, total, window)
if asc then return ids end
local turned = {}
for i = #ids, 1, -1 do turned[#turned + 1] = ids[i] end
return turned
