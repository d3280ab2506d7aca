--[[ requeued
  Whether a job in active was started there, or only moved: it keeps the processedOn of an earlier attempt while it waits
  for the next one. So whoever puts it back into the queue notes of which attempt that was; the next start makes the note
  void. Node notes nothing: what its workers try again looks started, and so does what was put back a great many jobs ago.

  <base>:toril:requeued  zset of the last ids put back, scored by the processedOn they had

  needs keys, clock
]]
-- Jobs that were started and are to be run again: processedOn, id, and so on, flat. Not of a start in this very ms: another
-- one may follow within it, and must not look like this one.
local function note_requeued(jobs)
  if #jobs == 0 then return end
  local k_requeued = base .. 'toril:requeued'
  for at = 1, #jobs, 4000 do call('ZADD', k_requeued, unpack(jobs, at, math.min(at + 3999, #jobs))) end
  call('ZREMRANGEBYRANK', k_requeued, 0, -10001)
  call('PEXPIRE', k_requeued, 86400000)
end
-- Whether somebody started it since it was last put back; not so what is no job.
local function was_started(id)
  local started = try('HGET', base .. id, 'processedOn')
  if type(started) ~= 'string' then return false end
  return call('ZSCORE', base .. 'toril:requeued', id) ~= started
end
-- Whether it is done with: then its id in active is of an earlier job of that id, which somebody deleted by hand while it ran.
local function has_finished(id)
  return call('ZSCORE', k_completed, id) or call('ZSCORE', k_failed, id)
end
