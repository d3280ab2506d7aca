"""Single scripts, run as the engine runs them; and Node's Bull doing the same to the same keys."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import redis

from toril.engine.keys import QueueKeys
from toril.engine.scripts.loader import load

LOCK_MS = 60_000

#: What Bull 4 does to its keys when it adds a job; the hash is shortened to what matters to scripts.
_BULL_ADD = """
local base, id, priority = ARGV[1], ARGV[2], tonumber(ARGV[3])
redis.call('HSET', base .. id, 'name', 'node', 'data', '{}', 'opts', '{}', 'timestamp', 1, 'delay', 0, 'priority',
  priority)
local list = redis.call('EXISTS', base .. 'meta-paused') == 1 and base .. 'paused' or base .. 'wait'
if priority == 0 then
  redis.call('LPUSH', list, id)
else
  redis.call('ZADD', base .. 'priority', priority, id)
  local count = redis.call('ZCOUNT', base .. 'priority', 0, priority)
  local length = redis.call('LLEN', list)
  local pivot = redis.call('LINDEX', list, length - (count - 1))
  if pivot then
    redis.call('LINSERT', list, 'BEFORE', pivot, id)
  else
    redis.call('RPUSH', list, id)
  end
end
"""

#: What Bull 4 does when it takes a job.
_BULL_TAKE = """
local id = redis.call('RPOPLPUSH', ARGV[1] .. 'wait', ARGV[1] .. 'active')
if id then redis.call('ZREM', ARGV[1] .. 'priority', id) end
return id
"""


def new_scripts(client: redis.Redis) -> Scripts:
    """The scripts of a queue that nobody else uses."""
    return Scripts(client, QueueKeys("work", f"t{uuid.uuid4().hex[:12]}"))


class Scripts:
    """Runs the scripts of one queue over a plain client, as the caller ``token``."""

    def __init__(self, client: redis.Redis, keys: QueueKeys, token: str = "tester") -> None:
        self.client, self.keys, self.token = client, keys, token
        self._request = 0
        self._next_node_id = 0

    def run(self, name: str, *arguments: Any) -> Any:
        """The reply of ``lua/<name>.lua``."""
        keys = self.keys.script_keys
        return self.client.eval(
            load(name).source, len(keys), *keys, f"{self.keys.base}:", self.token, *arguments
        )

    def add(self, *priorities: int, lifo: bool = False, name: str = "job") -> list[str]:
        """Add a job of each priority with one call; returns their ids."""
        kinds = sorted(set(priorities))
        groups = [
            part
            for priority in kinds
            for part in ('{"attempts":1,"timestamp":', "", 0, priority, int(lifo), "", "", "")
        ]
        jobs = [part for priority in priorities for part in (kinds.index(priority) + 1, name, "{}", "")]
        return self.run("add_jobs", 0, len(kinds), *groups, *jobs)[2:]

    def take(self, count: int) -> list[str]:
        """Take up to ``count`` jobs as a worker; returns their ids."""
        return [job[11] for job in self.run("advance", LOCK_MS, count, "", 0, 0, 0)[1]]

    def add_delayed(self, delay_ms: int) -> str:
        """Add a delayed job; returns its id."""
        head = ('{"attempts":1,"timestamp":', "", delay_ms, 0, 0, "", "", "")
        return self.run("add_jobs", 0, 1, *head, 1, "job", "{}", "")[2]

    def end(self, verb: str, job_id: str, *arguments: Any) -> int:
        """Record how a taken job ended, as ``advance`` wants it; returns the code."""
        return int(
            self.run("advance", LOCK_MS, 0, "", 0, 0, 0, verb, job_id, self.fence_of(job_id), *arguments)[0][
                0
            ]
        )

    def fence_of(self, job_id: str) -> str:
        """The fence of the attempt that has the job, which is the value of its lock; 0 without one."""
        return self.client.get(self.keys.lock(job_id)) or "0"

    def hand_back(self, job_id: str, priority: int) -> None:
        """Put a taken job back to the head."""
        self.end("return", job_id, "", "", "", "", priority, "")

    def beat(self, life_ms: int = 60_000) -> int:
        """A worker's heartbeat; 0 takes it off the list."""
        return int(self.run("register_worker", life_ms))

    def leave(self) -> None:
        """Sign the worker off, which puts everything overflowed back."""
        while self.beat(0):
            pass

    def waiting(self, state: str = "waiting") -> list[str]:
        """Ids in the order in which they will be taken."""
        return self.run("list_ids", state, 0, -1, 1)

    def node_add(self, priority: int) -> str:
        """Add a job as Bull does."""
        self._next_node_id += 1
        job_id = f"n{self._next_node_id}"
        self.client.eval(_BULL_ADD, 0, f"{self.keys.base}:", job_id, priority)
        return job_id

    def node_take(self) -> str | None:
        """Take a job as Bull does."""
        return self.client.eval(_BULL_TAKE, 0, f"{self.keys.base}:")

    def list_of(self, suffix: str) -> list[str]:
        """A list, from its left end."""
        return self.client.lrange(self.keys.of(suffix), 0, -1)

    def overflow(self) -> list[str]:
        """Ids in the overflow."""
        return self.client.zrange(self.keys.of("toril:overflow"), 0, -1)

    def priorities(self) -> set[str]:
        """Ids in Bull's priority set."""
        return set(self.client.zrange(self.keys.of("priority"), 0, -1))

    def calls_while(self, work: Callable[[], Any]) -> dict[str, int]:
        """How often the server ran each command, also within scripts, while ``work`` was done."""
        before = self.client.info("commandstats")
        work()
        after = self.client.info("commandstats")
        return {
            name.removeprefix("cmdstat_"): stats["calls"] - before.get(name, {"calls": 0})["calls"]
            for name, stats in after.items()
        }
