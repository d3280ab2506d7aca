"""A queue with jobs in every place, and its scripts made to fail at a call to the server."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import redis
from tests.support.script_runs import LOCK_MS, Scripts

from toril.engine.keys import QueueKeys
from toril.engine.scripts.loader import load

#: Counts a script's calls, and raises before the one that is wanted.
_SABOTAGE = """
local server, calls = redis, 0
local fail_at = tonumber(server.call('GET', ARGV[1] .. 'fail-at'))
local redis = setmetatable({}, {__index = server})
local function fails(how)
  calls = calls + 1
  if calls ~= fail_at then return false end
  server.call('SET', ARGV[1] .. 'has-failed', 1)
  return true
end
redis.call = function(...)
  if fails() then error(server.error_reply('ERR made to fail'), 0) end
  return server.call(...)
end
redis.pcall = function(...)
  if fails() then return server.error_reply('ERR made to fail') end
  return server.pcall(...)
end
"""

#: The window of prioritised jobs, so small that a dozen jobs overflow.
_SIZES = {
    "local WINDOW, LOW_WATER, STEP_SIZE = 512, 128, 500": "local WINDOW, LOW_WATER, STEP_SIZE = 4, 2, 3",
    "local NEAR = 1024": "local NEAR = 5",
}

#: All of a queue, as one answer.
_LOOK = """
local base, dead, call = ARGV[1], ARGV[2], redis.call
local jobs, places, rest, letters = {}, {}, {}, {}
for _, key in ipairs(call('KEYS', base .. '*')) do
  if call('TYPE', key).ok == 'hash' then jobs[string.sub(key, #base + 1)] = call('HGETALL', key) end
end
for _, list in ipairs({'wait', 'paused', 'active'}) do places[list] = call('LRANGE', base .. list, 0, -1) end
for _, set in ipairs({'delayed', 'completed', 'failed', 'toril:overflow', 'priority'}) do
  places[set] = call('ZRANGE', base .. set, 0, -1)
end
rest.schedules = call('ZRANGE', base .. 'repeat', 0, -1, 'WITHSCORES')
rest.remembered = call('HKEYS', base .. 'toril:schedules')
rest.marks = call('HKEYS', base .. 'toril:cancelled')
rest.paused = {tostring(call('EXISTS', base .. 'meta-paused')), call('HGET', base .. 'meta', 'paused') or ''}
rest.debounced = call('KEYS', base .. 'de:*')
rest.logs = call('KEYS', base .. '*:logs')
rest.letters = call('KEYS', dead .. '*:*')
for i, key in ipairs(rest.letters) do rest.letters[i] = string.match(key, ':work:(.*)$') end
for _, id in ipairs(call('LRANGE', dead .. 'wait', 0, -1)) do
  letters[#letters + 1] = call('HGET', dead .. id, 'data')
end
for _, all in ipairs({rest, places}) do
  for name, found in pairs(all) do if #found == 0 then all[name] = nil end end
end
if #letters == 0 then letters = nil end
return cjson.encode({jobs = jobs, places = places, rest = rest, letters = letters})
"""

_KEPT_FIELDS = (
    "returnvalue",
    "failedReason",
    "attemptsMade",
    "stalledCounter",
    "progress",
    "data",
    "priority",
)

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Keys of a queue with what is in them."""

    keys: tuple[tuple[str, bytes, int], ...]


class BrokenScripts(Scripts):
    """Scripts of a queue whose window is small, and which fail where they are told to."""

    def __init__(self, client: redis.Redis, keys: QueueKeys, dead: QueueKeys) -> None:
        super().__init__(client, keys)
        self.dead = dead
        self._raw = redis.Redis(
            connection_pool=client.connection_pool.__class__(
                **{**client.connection_pool.connection_kwargs, "decode_responses": False},
                connection_class=client.connection_pool.connection_class,
            )
        )

    def close(self) -> None:
        """Disconnect."""
        self._raw.close()

    def source(self, name: str) -> str:
        """The script with the small window."""
        text = load(name).source
        if "place_ranked" in text:
            for size, small in _SIZES.items():
                assert text.count(size) == 1
                text = text.replace(size, small)
        return text

    def run(self, name: str, *arguments: Any, dead: bool = False) -> Any:
        """The reply; ``dead``: with the keys of the queue of dead letters behind those of this one."""
        return self._eval(self.source(name), arguments, dead)

    def run_failing(self, name: str, at: int, *arguments: Any, dead: bool = False) -> tuple[Any, bool]:
        """The reply (or the error) of a run whose ``at``-th call fails, and whether there was such a call."""
        self.client.set(self.keys.of("fail-at"), at)
        try:
            reply = self._eval(_SABOTAGE + self.source(name), arguments, dead)
        except redis.ResponseError as error:
            if "made to fail" not in str(error):
                raise
            reply = error
        return reply, self.client.delete(self.keys.of("fail-at"), self.keys.of("has-failed")) == 2

    def _eval(self, source: str, arguments: tuple[Any, ...], dead: bool) -> Any:
        keys: list[str | bytes] = [*self.keys.script_keys]
        if dead:
            suffixes = ("id", "wait", "paused", "meta-paused", "delayed", "completed", "failed")
            keys += [self.dead.of(suffix) for suffix in suffixes]
        return self.client.eval(source, len(keys), *keys, f"{self.keys.base}:", self.token, *arguments)

    def snapshot(self) -> Snapshot:
        """What is there now."""
        keys = [key for base in (self.keys.base, self.dead.base) for key in self.client.keys(f"{base}:*")]
        return Snapshot(tuple((key, self._raw.dump(key), max(0, self._raw.pttl(key))) for key in keys))

    def restore(self, snapshot: Snapshot) -> None:
        """Have exactly that again."""
        keys = [key for base in (self.keys.base, self.dead.base) for key in self.client.keys(f"{base}:*")]
        with self._raw.pipeline(transaction=False) as pipe:
            if keys:
                pipe.delete(*keys)
            for key, dump, ttl in snapshot.keys:
                pipe.restore(key, ttl, dump)
            pipe.execute()

    def state(self) -> State:
        """Where each job is, by name, and what is known of it."""
        found = json.loads(self.client.eval(_LOOK, 0, f"{self.keys.base}:", f"{self.dead.base}:"))
        names, jobs = {"": "a hole"}, {}
        for job_id, pairs in dict(found["jobs"]).items():
            fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
            if "name" in fields:
                name = names[job_id] = fields["name"]
                jobs[name] = {field: fields.get(field) for field in _KEPT_FIELDS}
                jobs[name]["finished"] = "finishedOn" in fields
        places: dict[str, list[str]] = defaultdict(list)
        places |= {
            place: sorted(names.get(job_id, f"no job {job_id}") for job_id in ids)
            for place, ids in dict(found["places"]).items()
        }
        self._check_priorities(jobs, places)
        state: State = {"jobs": jobs, "waiting": sorted(places["wait"] + places["toril:overflow"])}
        state |= {place: places[place] for place in ("paused", "active", "delayed", "completed", "failed")}
        letters = sorted(json.loads(letter)["name"] for letter in found.get("letters", ()))
        return state | {
            "rest": {key: sorted(value) for key, value in dict(found["rest"]).items()},
            "letters": letters,
        }

    def _check_priorities(self, jobs: dict[str, Any], places: dict[str, list[str]]) -> None:
        """Which prioritised jobs are where may differ, but what Bull knows of them may not."""
        known = set(places["priority"])
        for name in places["wait"]:
            assert name not in jobs or (name in known) == (jobs.get(name, {}).get("priority", "0") != "0"), (
                name,
                known,
            )
        assert not known.intersection(places["toril:overflow"])


def places_of(state: State) -> dict[str, list[str]]:
    """Name of each job -> where it is, once for each time it is there."""
    found: dict[str, list[str]] = {name: [] for name in state["jobs"]}
    for place in ("waiting", "paused", "active", "delayed", "completed", "failed"):
        for name in state[place]:
            found.setdefault(name, []).append(place)
    return found


def fill(scripts: BrokenScripts) -> None:
    """Put jobs everywhere; their names say what they are there for."""
    scripts.beat(LOCK_MS)
    add = _Adder(scripts)
    held = [f"held-{n}" for n in range(11)]
    stalled = ["stalled-1", "stalled-2", "stalled-often"]
    done = ["done-1", "done-2"]
    failed = ["failed-1", "failed-2", "failed-urgent"]
    for name in (*held, *stalled, *done, *failed, "lost-1", "lost-urgent"):
        add(
            name,
            priority=2 if "urgent" in name or name in ("held-3", "held-7") else 0,
            deid="twice" if name == "held-0" else "",
        )
    ids = scripts.take(100)
    by_name = {scripts.client.hget(scripts.keys.job(i), "name"): i for i in ids}
    for name in done:
        scripts.end("complete", by_name[name], '"kept"', "", "", -1, -1, "")
    for name in failed:
        scripts.end("fail", by_name[name], "no luck", "[]", 1, -1, -1, "")
    for name in (*stalled, "lost-1", "lost-urgent"):
        scripts.client.delete(scripts.keys.lock(by_name[name]))
    for name in ("lost-1", "lost-urgent"):
        scripts.client.hdel(scripts.keys.job(by_name[name]), "processedOn")
    scripts.client.sadd(scripts.keys.of("stalled"), *(by_name[name] for name in stalled))
    scripts.client.hset(scripts.keys.job(by_name["stalled-often"]), "stalledCounter", 1)
    scripts.client.hset(scripts.keys.of("toril:cancelled"), by_name["held-10"], "9" * 13)
    for n in range(3):
        add(f"plain-{n}")
    for n in range(12):
        add(f"urgent-{n}", priority=1 + n % 3)
    add("lifo", lifo=True)
    add("debounced", deid="once")
    for n in range(2):
        add(f"due-{n}", delay=1, priority=n)
    add("due-numbered", delay=1, job_id="Nan")
    for n in range(2):
        parked = add(f"parked-{n}", delay=1)
        scripts.client.hset(scripts.keys.of("limiter:index"), parked, scripts.keys.of("limiter:g:limited"))
    add("later", delay=3_600_000)
    opts = '{"attempts":1,"repeat":{"every":1000,"key":"k","count":1},"prevMillis":9000000000000'
    scripts.run(
        "arm_schedule", "add", "k", "repeat:k:", 9_000_000_000_000, "", "", "run", "{}", opts, 0, 1, "{}"
    )


class _Adder:
    def __init__(self, scripts: Scripts) -> None:
        self.scripts = scripts

    def __call__(
        self,
        name: str,
        *,
        priority: int = 0,
        delay: int = 0,
        lifo: bool = False,
        deid: str = "",
        job_id: str = "",
    ) -> str:
        head = ('{"attempts":1,"timestamp":', "", delay, priority, int(lifo), deid, "", "")
        return str(self.scripts.run("add_jobs", 0, 1, *head, 1, name, json.dumps({"of": name}), job_id)[2])
