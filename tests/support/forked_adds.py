"""Forks, as preforking web servers do, and adds from every child at once; prints the ids.

Usage: forked_adds.py URL PREFIX async|sync
"""

from __future__ import annotations

import asyncio
import os
import sys

import toril.sync
from toril.engine.queue import Queue

CHILDREN = 5


def main(url: str, prefix: str, kind: str) -> None:
    """Make the queue, use it, and let children use their copies."""
    if kind == "sync":
        shared = toril.sync.Queue("q", url=url, prefix=prefix)
        own = shared.add("n", "parent")

        def add(data: int) -> str:
            assert own.state() == "waiting"
            return str(shared.add("n", data).id)

    else:
        queue = Queue("q", url=url, prefix=prefix)

        async def add_one(data: object) -> str:
            job = await queue.add("n", data)
            assert await job.state() == "waiting"
            return job.id

        def add(data: int) -> str:
            return asyncio.run(add_one(data))

        asyncio.run(add_one("parent"))
    go, started = os.pipe()
    answers, answer = os.pipe()
    pids = []
    for number in range(CHILDREN):
        if (pid := os.fork()) == 0:
            os.close(started)
            os.read(go, 1)  # until the parent lets all of them go
            os.write(answer, f"{add(number)}\n".encode())
            os._exit(0)
        pids.append(pid)
    os.close(started)
    for pid in pids:
        os.waitpid(pid, 0)
    os.close(answer)
    print(os.read(answers, 10_000).decode(), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
