--[[ policy
  A keep policy from a job's stored options, as count and age (s); -1 is no bound, a count of 0 is "remove".
  Reads what Node takes: true, numbers, {age, count}, and any other true value as "remove".
]]
local function stored_policy(opts_text, name)
  local readable, opts = pcall(cjson.decode, opts_text or '')
  local keep = readable and type(opts) == 'table' and opts[name]
  if not keep or keep == cjson.null then return -1, -1 end
  if type(keep) == 'number' then return math.floor(keep), -1 end
  if type(keep) ~= 'table' then return 0, -1 end
  return math.floor(number(keep.count) or -1), math.floor(number(keep.age) or -1)
end
