--[[ rows
  Put ids into the middle of a list, or take them out of it, with few moves; all or nothing for what was in the list.

  needs keys
]]
-- Places from the head up to which moving what lies between costs next to nothing.
local NEAR = 1024

-- Made when it is first wanted.
local rows_made
local function rows()
  if rows_made then return rows_made end
  -- In parts: Lua's stack bounds what one call takes.
  local function push_all(command, list, ids)
    for at = 1, #ids, 4000 do call(command, list, unpack(ids, at, math.min(at + 3999, #ids))) end
  end

  -- Push a row that holds what was just popped off that end, and more. If that fails, what was popped is put back.
  local function push_row(command, list, row, popped)
    local pushed = 0
    local well, trouble = pcall(function()
      for at = 1, #row, 4000 do
        local to = math.min(at + 3999, #row)
        call(command, list, unpack(row, at, to))
        pushed = to
      end
    end)
    if well then return end
    if pushed > 0 then try(command == 'RPUSH' and 'RPOP' or 'LPOP', list, pushed) end
    local back = {}
    for i = #popped, 1, -1 do back[#back + 1] = popped[i] end
    pcall(push_all, command, list, back)
    error(trouble, 0)
  end

  -- Insert ids, the first to run first, so that `before[i]` of the jobs now in the list, never fewer than before the last
  -- one, stay between the i-th and the head. What lies between is moved once for all of them.
  local function insert(list, ids, before)
    local total, deepest = #ids, before[#ids]
    if deepest > NEAR and before[1] <= NEAR then
      local near, near_before, deep, deep_before = {}, {}, {}, {}
      for i = 1, total do
        local to, to_before = near, near_before
        if before[i] > NEAR then to, to_before = deep, deep_before end
        to[#to + 1] = ids[i]
        to_before[#to_before + 1] = before[i]
      end
      insert(list, deep, deep_before)
      return insert(list, near, near_before)
    end
    if deepest > NEAR then
      local from_left = call('LLEN', list) - before[1]
      -- A walk with LINSERT passes a job in a tenth of the time in which one is moved.
      if total * math.max(from_left, 1) < 10 * math.min(deepest, math.max(from_left, 1)) then
        for i = total, 1, -1 do
          local pivot = before[i] > 0 and call('LINDEX', list, -before[i])
          if pivot then
            call('LINSERT', list, 'BEFORE', pivot, ids[i])
          else
            call(before[i] > 0 and 'LPUSH' or 'RPUSH', list, ids[i])
          end
        end
        return
      end
      if from_left < deepest then
        local moved, row = from_left > 0 and call('LPOP', list, from_left) or {}, {}
        -- moved[#moved] is the nearest to the head, with before[1] jobs before it.
        local i = 1
        for at = #moved, 0, -1 do
          while i <= total and (before[i] - before[1] <= #moved - at or at == 0) do
            row[#row + 1] = ids[i]
            i = i + 1
          end
          row[#row + 1] = moved[at]
        end
        return push_row('LPUSH', list, row, moved)
      end
    end
    local moved, row = deepest > 0 and call('RPOP', list, deepest) or {}, {}
    local i = total
    for at = #moved, 0, -1 do
      while i > 0 and before[i] >= at do
        row[#row + 1] = ids[i]
        i = i - 1
      end
      row[#row + 1] = moved[at]
    end
    push_row('RPUSH', list, row, moved)
  end

  -- Insert ids, the first to run first, behind the first `before` jobs.
  local function insert_behind(list, ids, before)
    local places = {}
    for i = 1, #ids do places[i] = before end
    if #ids > 0 then insert(list, ids, places) end
  end

  -- Take out the ids between two places, counted from the head, that are keys of `wanted`. They are overwritten and
  -- then removed, all with one walk over the list. Returns those found, in order.
  local function strike(list, first, last, wanted)
    local ids, struck, places = call('LRANGE', list, -last - 1, -first - 1), {}, {}
    local well, trouble = pcall(function()
      for i = #ids, 1, -1 do
        if wanted[ids[i]] then
          call('LSET', list, i - #ids - first - 1, '')
          struck[#struck + 1], places[#places + 1] = ids[i], i - #ids - first - 1
        end
      end
      if #struck > 0 then
        local from_left = call('LLEN', list) - last - 1 < first
        call('LREM', list, from_left and #struck or -#struck, '')
      end
    end)
    if not well then
      for i, id in ipairs(struck) do try('LSET', list, places[i], id) end
      error(trouble, 0)
    end
    return struck
  end
  rows_made = {insert = insert, insert_behind = insert_behind, strike = strike}
  return rows_made
end
