--[[ pause
  Pause or resume the queue for everybody. Ids that somebody put into the wrong list are not lost as with Bull's
  RENAME: they are placed behind the others.

  ARGV[3] paused  0/1  1 pauses, 0 resumes
  Returns 0
  Cost O(1), plus O(ids in the wrong list)
]]
-- @include keys clock undo rows place
local list, was_paused = target_list()
local wrong, paused = was_paused and k_wait or k_paused, ARGV[3] == '1'
local stray = call('RPOP', wrong, 1000)
while stray and #stray > 0 do
  local well, trouble = attempt(function()
    local placed, scores, back = {}, {}, {}
    for i = #stray, 1, -1 do back[#back + 1] = stray[i] end
    undo(function()
      for i, id in ipairs(stray) do
        if scores[i] then call('ZADD', k_priority, scores[i], id) end
      end
    end)
    undo('RPUSH', wrong, unpack(back))
    scores = call('ZMSCORE', k_priority, unpack(stray))
    for i, id in ipairs(stray) do placed[i] = {id, number(scores[i]) or 0} end
    call('ZREM', k_priority, unpack(stray))
    place(list, placed)
  end)
  if not well then error(trouble, 0) end
  stray = call('RPOP', wrong, 1000)
end
whole(function()
  if paused then
    if not was_paused then undo('DEL', k_meta_paused) end
    call('SET', k_meta_paused, 1)
    if not was_paused then undo('HDEL', k_meta, 'paused') end
    call('HSET', k_meta, 'paused', 1)
  else
    if was_paused then undo('SET', k_meta_paused, 1) end
    call('DEL', k_meta_paused)
    if was_paused then undo('HSET', k_meta, 'paused', 1) end
    call('HDEL', k_meta, 'paused')
  end
  if paused ~= was_paused and call('EXISTS', list) == 1 then call('RENAME', list, wrong) end
end)
publish(base .. (paused and 'paused' or 'resumed'), paused and 'paused' or 'resumed')
return 0
