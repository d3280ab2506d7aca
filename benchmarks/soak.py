"""A million jobs through one worker, whose memory must stay flat: ``python -m benchmarks.soak``.

A producer in a process of its own keeps at most ``--backlog`` jobs waiting; the worker keeps the 1000 newest. Prints
the worker's resident memory and the server's along the way, and exits with 1 if the worker's grew by more than a
tenth after its first 100,000 jobs.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time

from tests.support.servers import RedisServer

from toril import Job, Queue, Worker

MEGABYTE = 1024 * 1024
STEP = 5000


def resident_mb() -> float:
    """Memory of this process as ``ps`` tells it."""
    import os

    told = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
    )
    return int(told.stdout) / 1024


async def produce(url: str, jobs: int, backlog: int) -> None:
    """Add jobs, never more than ``backlog`` ahead of the workers."""
    async with Queue("soak", url=url) as queue:
        for start in range(0, jobs, STEP):
            while await queue.count() > backlog:  # noqa: ASYNC110 - the queue is on a server
                await asyncio.sleep(0.02)
            count = min(STEP, jobs - start)
            await queue.add_bulk(
                ("work", {"number": start + number}, {"remove_on_complete": 1000}) for number in range(count)
            )


async def work(url: str, jobs: int) -> bool:
    """Work all of them; whether memory stayed flat and nothing is left."""
    seen = 0
    total = 0
    finished = asyncio.Event()

    async def add_up(job: Job) -> int:
        nonlocal seen, total
        seen += 1
        total += job.data["number"]
        if seen == jobs:
            finished.set()
        return seen

    first = most = 0.0
    began = time.monotonic()
    async with Queue("soak", url=url) as queue:
        async with Worker(queue, add_up, concurrency=100):
            mark = jobs // 10
            while not finished.is_set():
                try:
                    await asyncio.wait_for(finished.wait(), 0.2)
                except TimeoutError:
                    pass
                if seen >= mark:
                    now = resident_mb()
                    first = first or now
                    most = max(most, now)
                    info = (await queue.connection.execute("INFO", "memory")).decode()
                    used = int(
                        next(row for row in info.splitlines() if row.startswith("used_memory:")).split(":")[1]
                    )
                    rate = seen / (time.monotonic() - began)
                    print(
                        f"{seen:>9,} jobs  {rate:>8,.0f}/s  worker {now:6.1f} MB  server {used / MEGABYTE:6.1f} MB"
                    )
                    mark += jobs // 10
        counts = await queue.counts()
    print("left:", counts)
    kept = counts.pop("completed")
    whole = total == jobs * (jobs - 1) // 2 and not any(counts.values()) and kept == 1000
    print(f"every job once: {whole}; worker's memory grew from {first:.1f} to at most {most:.1f} MB")
    return whole and most <= first * 1.1


def main() -> None:
    """Run the soak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--backlog", type=int, default=50_000)
    parser.add_argument("--produce", metavar="URL", help="only add (used by the other process)")
    options = parser.parse_args()
    if options.produce:
        asyncio.run(produce(options.produce, options.jobs, options.backlog))
        return
    with RedisServer() as server:
        producer = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.soak", "--produce", server.url,
             "--jobs", str(options.jobs), "--backlog", str(options.backlog)]
        )  # fmt: skip
        try:
            flat = asyncio.run(work(server.url, options.jobs))
        finally:
            producer.terminate()
            producer.wait()
    sys.exit(0 if flat else 1)


if __name__ == "__main__":
    main()
