"""The side of the benchmark that every Python peer shares. Only the standard library, so it adds nothing.

A peer file subclasses ``AsyncPeer`` or ``SyncPeer``, registers ``started`` as its no-op job, and ends with
``main(Peer())``. Commands, each one process (harness.js has the same for Node):

    add URL N          add N jobs the peer's best way         {"jobs", "seconds"}
    each URL N         add N jobs, one call a job, 100 calls in flight    {"jobs", "seconds"}
    ping URL N         add N jobs, one at a time, 30 to 70 ms apart, with the time of adding    {"jobs"}
    work URL N C       start N jobs at concurrency C, then end  {"jobs", "seconds", "latencies_us"}
    rest URL C         work until killed
    versions           {"package": "version", …}

A worker prints {"ready": true} before it starts. The clock of ``work`` runs from the start of the first job
to the start of the last, which every system can tell in the same way, without hooks.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import itertools
import json
import os
import random
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

QUEUE = "bench"
#: Adds in flight at once in ``each``, and for bulk adds of a peer that has no bulk call.
IN_FLIGHT = 100
#: Jobs in one bulk call.
BULK = 1000


class Meter:
    """Counts job starts, keeps the first and the last time, and ends the process with the count reached."""

    def __init__(self) -> None:
        self.wanted = 0
        self._numbers = itertools.count(1)  # thread-safe, unlike +=
        self._first_ns = 0
        self._latencies_us: list[int] = []

    def started(self, sent_ns: int) -> None:
        """Note the start of a job that was added at ``sent_ns`` (monotonic; 0: not of interest)."""
        now_ns = time.monotonic_ns()
        number = next(self._numbers)
        if sent_ns:
            self._latencies_us.append((now_ns - sent_ns) // 1000)
        if number == 1:
            self._first_ns = now_ns
        if number == self.wanted:
            seconds = (now_ns - self._first_ns) / 1e9
            report({"jobs": number - 1, "seconds": seconds, "latencies_us": self._latencies_us})
            # At once: a graceful end would time the peer's shutdown, and some cannot be stopped from inside.
            os._exit(0)


METER = Meter()


async def started(sent_ns: int) -> None:
    """The no-op job of asynchronous peers."""
    METER.started(sent_ns)


def started_sync(sent_ns: int) -> None:
    """The no-op job of synchronous peers."""
    METER.started(sent_ns)


class AsyncPeer(ABC):
    """A peer with an asynchronous client."""

    packages: tuple[str, ...]

    @abstractmethod
    async def connect(self, url: str) -> None:
        """Open what ``add`` needs."""

    @abstractmethod
    async def add(self, sent_ns: int) -> None:
        """Add one job."""

    @abstractmethod
    async def work(self, url: str, concurrency: int) -> None:
        """Work until killed."""

    async def add_many(self, count: int) -> None:
        """Add jobs the fastest way there is; this one is for peers without a bulk call."""
        for start in range(0, count, IN_FLIGHT):
            await asyncio.gather(*(self.add(0) for _ in range(min(IN_FLIGHT, count - start))))

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run the event loop; a peer that recommends another loop starts that one here."""
        asyncio.run(main)

    def command(self, name: str, url: str, count: int, concurrency: int) -> None:
        self.run(self._command(name, url, count, concurrency))

    async def _command(self, name: str, url: str, count: int, concurrency: int) -> None:
        if name in ("work", "rest"):
            await self.work(url, concurrency)
            return
        await self.connect(url)
        if name == "ping":
            for _ in range(count):
                await self.add(time.monotonic_ns())
                await asyncio.sleep(random.uniform(0.03, 0.07))
            report({"jobs": count})
            return
        warm = min(IN_FLIGHT, count // 2)
        await self.add_many(warm)
        begin = time.perf_counter()
        if name == "add":
            await self.add_many(count - warm)
        else:
            left = iter(range(count - warm))
            await asyncio.gather(*(self._add_each(left) for _ in range(IN_FLIGHT)))
        report({"jobs": count - warm, "seconds": time.perf_counter() - begin})

    async def _add_each(self, left: Iterator[int]) -> None:
        for _ in left:
            await self.add(0)


class SyncPeer(ABC):
    """A peer whose client blocks: ``each`` uses a thread for each add in flight."""

    packages: tuple[str, ...]

    @abstractmethod
    def connect(self, url: str) -> None: ...

    @abstractmethod
    def add(self, sent_ns: int) -> None: ...

    @abstractmethod
    def work(self, url: str, concurrency: int) -> None: ...

    def add_many(self, count: int) -> None:
        """One after the other: with a blocking client and the interpreter lock, threads are slower."""
        for _ in range(count):
            self.add(0)

    def command(self, name: str, url: str, count: int, concurrency: int) -> None:
        if name in ("work", "rest"):
            self.work(url, concurrency)
            threading.Event().wait()  # a worker of threads returns at once
        self.connect(url)
        if name == "ping":
            for _ in range(count):
                self.add(time.monotonic_ns())
                time.sleep(random.uniform(0.03, 0.07))
            report({"jobs": count})
            return
        warm = min(IN_FLIGHT, count // 2)
        self.add_many(warm)
        begin = time.perf_counter()
        if name == "add":
            self.add_many(count - warm)
        else:
            with ThreadPoolExecutor(IN_FLIGHT) as pool:
                for done in [pool.submit(self.add, 0) for _ in range(count - warm)]:
                    done.result()
        report({"jobs": count - warm, "seconds": time.perf_counter() - begin})


def report(values: dict[str, Any]) -> None:
    """Write one answer for the runner; past sys.stdout, which some workers put something else in place of."""
    os.write(1, json.dumps(values).encode() + b"\n")


def main(peer: AsyncPeer | SyncPeer) -> None:
    """Run the command in the arguments."""
    name, *arguments = sys.argv[1:]
    if name == "versions":
        report({package: importlib.metadata.version(package) for package in peer.packages})
        return
    url, first, *rest = arguments
    count = int(first)
    if name == "rest":
        concurrency, count = count, 0
    else:
        concurrency = int(rest[0]) if rest else 1
    METER.wanted = count
    if name in ("work", "rest"):
        report({"ready": True})
    peer.command(name, url, count, concurrency)
