--[[ match_jobs
  Which of some jobs have a text in their id, their name or their data, and another one in their data in any case.
  Letters of ASCII match in either case.

  ARGV[3] text    str  as ids and names have it, in lower case
  ARGV[4] quoted  str  as JSON writes it within a string, in lower case
  ARGV[5] within  str  what the data must contain besides, in lower case; '' for nothing
  ARGV[6] bytes   int  how much text is looked at; then the rest is left, but at least one job is looked at
  ARGV[7…] ids
  Returns {how many jobs were looked at, id…}
  Cost O(bytes)
]]
-- @include keys
local text, quoted, within, left = ARGV[3], ARGV[4], ARGV[5], number(ARGV[6])
local reply = {0}
for i = 7, #ARGV do
  local id = ARGV[i]
  local found = string.find(string.lower(id), text, 1, true)
  if not found or within ~= '' then
    local fields = call('HMGET', base .. id, 'name', 'data')
    local name, data = fields[1] or '', fields[2] or ''
    local lowered = string.lower(data)
    found = found or string.find(string.lower(name), text, 1, true) or string.find(lowered, quoted, 1, true)
    found = found and (within == '' or string.find(lowered, within, 1, true))
    left = left - #name - #data
  end
  if found then reply[#reply + 1] = id end
  reply[1] = reply[1] + 1
  if left <= 0 then break end
end
return reply
