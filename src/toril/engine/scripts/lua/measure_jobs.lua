--[[ measure_jobs
  How many bytes jobs have: names, data, options, and what came of them, as they are stored.

  ARGV[3…] ids
  Returns a number for each; 0 for one that is gone
  Cost O(jobs)
]]
-- @include keys
local fields = {'data', 'returnvalue', 'stacktrace', 'failedReason', 'progress', 'opts', 'name'}
local sizes = {}
for i = 3, #ARGV do
  local size = 0
  for _, field in ipairs(fields) do size = size + call('HSTRLEN', base .. ARGV[i], field) end
  sizes[#sizes + 1] = size
end
return sizes
