"""What a worker does to a queue, step by step, without a worker."""

from __future__ import annotations

import json
from typing import Any

from toril.engine.queue import Queue

LOCK_MS = 60_000


async def take(queue: Queue, count: int = 1, *, lock_ms: int = LOCK_MS) -> list[str]:
    """Take up to ``count`` jobs, locked for the queue object's token; returns their ids."""
    _, jobs, *_ = await queue.scripts.run("advance", lock_ms, count, "", 0, 0, 0)
    return [job[11].decode() for job in jobs]


async def fence_of(queue: Queue, job_id: str) -> str:
    """The fence of the attempt that has the job, which is the value of its lock; 0 if it is not the queue object's."""
    lock = await queue.scripts.ask("GET", queue.keys.lock(job_id))
    return lock.decode() if lock is not None and lock.startswith(f"{queue.token}:".encode()) else "0"


async def _end(queue: Queue, verb: str, job_id: str, *arguments: Any, metrics: int = 0) -> int:
    outcome = (verb, job_id, await fence_of(queue, job_id), *arguments)
    codes, *_ = await queue.scripts.run("advance", LOCK_MS, 0, "", metrics, 0, 0, *outcome)
    return int(codes[0])


async def complete(
    queue: Queue, job_id: str, value: Any = None, *, keep: int = -1, metrics: int = 0, debounce_id: str = ""
) -> int:
    """Let a taken job complete; ``keep`` 0 removes it. Returns the code of ``advance``."""
    text = json.dumps(value, separators=(",", ":"))
    return await _end(queue, "complete", job_id, text, "", "", keep, -1, debounce_id, metrics=metrics)


async def fail(
    queue: Queue, job_id: str, reason: str = "no luck", *, attempts: int = 1, keep: int = -1
) -> int:
    """Let a taken job fail for good; ``keep`` 0 removes it."""
    return await _end(queue, "fail", job_id, reason, json.dumps([reason]), attempts, keep, -1, "")


async def delay(queue: Queue, job_id: str, wait_ms: int, reason: str = "no luck") -> int:
    """Let an attempt fail, to be tried again after some time."""
    return await _end(queue, "delay", job_id, reason, json.dumps([reason]), 1, wait_ms, "", "")


async def run_all(queue: Queue) -> list[str]:
    """Take and complete jobs until none is waiting; returns their ids in order."""
    ran: list[str] = []
    while ids := await take(queue, 100):
        for job_id in ids:
            await complete(queue, job_id)
        ran += ids
    return ran
