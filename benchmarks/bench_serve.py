"""What readers of the API leave to the workers of ``toril serve``.

Run: python benchmarks/bench_serve.py [--seconds 8] [--rounds 2] [--readers 64 8]
Needs: pip install -e '.[all]'

Starts ``toril serve`` as anybody would, on a fresh Valkey and an empty home, and keeps its queue ``pdf`` full of small
documents. Counts the jobs that its workers end in a second: alone, and with so many readers, each of which asks for one
page after the other over a connection of its own. Alone and with readers take turns, so that a slow minute of the
machine hits both. The readers are a process on the same machine and take processor time too, which real ones do not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

#: What people look at while a page of the dashboard is open.
PATHS = (
    "/api/queues",
    "/api/queues/pdf/jobs?status=completed",
    "/api/auth/me",
    "/api/queues/pdf/metrics",
    "/api/notifications",
)
DOCUMENT = {
    "type": "custom",
    "data": {"html": "<h1>مرحبا</h1><p>Hello</p>", "firmId": "507f1f77bcf86cd799439011"},
}

#: Jobs that wait at least; each worker takes a few at a time.
_FULL = 500


def read(address: str, token: str, readers: int, begin: Any, stop: Any, answers: Any) -> None:
    """Ask for pages until told to stop; a process of its own."""
    from benchmarks.bench_http import Connection, request

    requests = [request("GET", path, token) for path in PATHS]

    async def one(first: int) -> int:
        connection, count = await Connection.open(int(address.rpartition(":")[2])), 0
        while not stop.is_set():
            status, text = await connection.ask(requests[(first + count) % len(requests)])
            assert status == 200, text
            count += 1
        connection.close()
        return count

    async def run() -> None:
        begin.set()
        answers.value = sum(await asyncio.gather(*map(one, range(readers))))

    asyncio.run(run())


class Served:
    """A running ``toril serve``.

    Args:
        queue: its ``pdf``.
    """

    def __init__(self, address: str, token: str, queue: Any) -> None:
        self.address, self.token, self._queue, self._added = address, token, queue, 0

    async def jobs_per_second(self, seconds: float, readers: int) -> tuple[float, float]:
        """Jobs ended and requests answered in a second."""
        context = multiprocessing.get_context("spawn")
        begin, stop, answers = context.Event(), context.Event(), context.Value("l", 0)
        reading = context.Process(target=read, args=(self.address, self.token, readers, begin, stop, answers))
        if readers:
            reading.start()
            await asyncio.to_thread(begin.wait, 60)
            await self._work(1.0)  # what is read the first time, and connections
        began, before = time.perf_counter(), await self._ended()
        await self._work(seconds)
        jobs, took = await self._ended() - before, time.perf_counter() - began
        if not readers:
            return jobs / took, 0.0
        stop.set()
        await asyncio.to_thread(reading.join, 60)
        return jobs / took, answers.value / (took + 1.0)

    async def _work(self, seconds: float) -> None:
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            waiting = (await self._queue.counts())["waiting"]
            if waiting < _FULL:
                await self._queue.add_bulk([("__default__", DOCUMENT)] * _FULL)
                self._added += _FULL
            await asyncio.sleep(min(left, 0.25))

    async def _ended(self) -> int:
        counts = await self._queue.counts()
        return int(self._added - sum(counts[state] for state in ("waiting", "active", "delayed", "paused")))


@contextlib.asynccontextmanager
async def serve(url: str, home: Path) -> AsyncIterator[Served]:
    """``toril serve``, ready, with its first administrator signed in."""
    from tests.support.servers import free_port

    from toril.engine.queue import Queue

    port, kept = free_port(), {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "toril", "serve", "--port", str(port),
        env={**kept, "REDIS_URL": url, "TORIL_HOME": str(home), "TORIL_LOG_LEVEL": "error"},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    password, ready, lines = "", 0, process.stdout
    try:
        async with asyncio.timeout(120):
            while not (password and ready):
                line = (await lines.readline()).decode()
                assert line, "toril serve has ended"
                if "password " in line:
                    password = line.partition("password ")[2].split()[0]
                    user = line.partition("administrator: ")[2].partition(",")[0]
                ready += "serving " in line
        address = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=address) as client:
            signed_in = await client.post("/api/auth/login", json={"email": user, "password": password})
        token = signed_in.json()["data"]["accessToken"]
        async with Queue("pdf", url=url) as queue:
            yield Served(address, token, queue)
    finally:
        process.terminate()
        await process.communicate()


async def measure(options: argparse.Namespace) -> None:
    from tests.support.servers import RedisServer

    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.1f}", flush=True)
    alone: list[float] = []
    shared: dict[int, list[float]] = {readers: [] for readers in options.readers}
    with RedisServer("valkey") as server, tempfile.TemporaryDirectory() as home:
        async with serve(server.url, Path(home)) as served:
            await served.jobs_per_second(3.0, 0)
            for _ in range(options.rounds):
                for readers, rates in shared.items():
                    for each in (0, readers):
                        jobs, requests = await served.jobs_per_second(options.seconds, each)
                        (rates if each else alone).append(jobs)
                        print(
                            f"{each:>3} readers: {jobs:7.1f} jobs/s, {requests:8,.0f} requests/s", flush=True
                        )
    idle = statistics.median(alone)
    for readers, rates in shared.items():
        part = statistics.median(rates) / idle
        print(f"with {readers} readers {part:.0%} of {idle:.1f} jobs/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement (8)")
    parser.add_argument("--rounds", type=int, default=2, help="how often all of them (2)")
    parser.add_argument("--readers", type=int, nargs="+", default=[64, 8], help="readers at once (64 8)")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
