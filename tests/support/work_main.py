"""A worker process for fault tests: ``python -m tests.support.work_main URL PREFIX QUEUE [options as JSON]``.

Jobs append their id to the server's list ``<prefix>:ran``, so that runs can be counted from outside.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import redis.asyncio as redis_asyncio

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker


async def main(url: str, prefix: str, name: str, options: dict[str, Any]) -> None:
    """Work until told to stop."""
    notes = redis_asyncio.from_url(url)
    queue = Queue(name, url=url, prefix=prefix)

    @queue.process()
    async def work(job: Job[Any]) -> Any:
        if job.name != "quiet":
            await notes.rpush(f"{prefix}:ran", job.id)
        if job.name == "endless":
            await asyncio.Event().wait()
        return job.data

    worker = Worker(queue, **options)
    print("ready", flush=True)
    await worker.run()
    await queue.close()
    await notes.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}))
