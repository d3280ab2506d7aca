--[[ pause
  Pause or resume the queue for everybody. Ids that somebody put into the wrong list are not lost as with Bull's
  RENAME: they are placed behind the others.

  ARGV[3] paused  0/1  1 pauses, 0 resumes
  Returns 0
  Cost O(1), plus O(ids in the wrong list)
]]
-- @include keys clock place
local list, was_paused = target_list()
local wrong, paused = was_paused and k_wait or k_paused, ARGV[3] == '1'
local stray = call('RPOP', wrong, 1000)
while stray and #stray > 0 do
  local ids = {unpack(stray)}
  local scores = call('ZMSCORE', k_priority, unpack(ids))
  for i, id in ipairs(stray) do stray[i] = {id, tonumber(scores[i] or 0)} end
  call('ZREM', k_priority, unpack(ids))
  place(list, stray)
  stray = call('RPOP', wrong, 1000)
end
if paused ~= was_paused and call('EXISTS', list) == 1 then call('RENAME', list, wrong) end
if paused then
  call('SET', k_meta_paused, 1)
  call('HSET', k_meta, 'paused', 1)
  call('PUBLISH', base .. 'paused', 'paused')
else
  call('DEL', k_meta_paused)
  call('HDEL', k_meta, 'paused')
  call('PUBLISH', base .. 'resumed', 'resumed')
end
return 0
