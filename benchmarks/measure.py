"""What is measured. Each run has a fresh server, and each side of it is a process of its own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import PeerProcess, call, resident_bytes
from benchmarks.registry import Peer
from tests.support.servers import RedisServer

#: Pings that warm up both sides and do not count.
WARM_PINGS = 5
#: Jobs of the first pilot run, which tells how many fill the planned time; the most that a run gets.
PILOT_JOBS, MOST_JOBS = 1000, 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, and against which server, to measure."""

    run_s: float = 4.0
    pings: int = 100
    rest_s: float = 10.0
    #: Before an idle worker is looked at: its connections and first periodic duties are done by then.
    settle_s: float = 2.0
    concurrency: int = 100
    #: The longest that one process of a peer may take.
    limit_s: float = 180.0
    server: str | Path | None = None
    server_args: tuple[str, ...] = ()
    tcp: bool = True

    def start(self) -> RedisServer:
        """A fresh, empty server."""
        return RedisServer(self.server, self.server_args, tcp=self.tcp)


@dataclass(frozen=True, slots=True)
class Figure:
    """One column of the results."""

    name: str
    heading: str
    unit: str
    more_is_better: bool


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of run. ``run(peer, plan, jobs)`` returns its figures, in the order of ``figures``."""

    name: str
    figures: tuple[Figure, ...]
    run: Callable[[Peer, Plan, int], tuple[float, ...]]
    #: The first figure is a rate, so a pilot run tells how many jobs fill the planned time.
    is_rate: bool = True

    def jobs(self, peer: Peer, plan: Plan) -> int:
        """How many jobs a run gets."""
        if not self.is_rate:
            return 0
        jobs = 0
        wanted = PILOT_JOBS
        while jobs < wanted / 3:  # a run much shorter than planned is mostly warming up: its rate misleads
            jobs = wanted
            rate = self.run(peer, plan, jobs)[0]
            wanted = max(PILOT_JOBS, min(MOST_JOBS, int(rate * plan.run_s) // 100 * 100))
        return wanted


def work(peer: Peer, plan: Plan, jobs: int) -> tuple[float, ...]:
    """Jobs a second of one worker process, the jobs added beforehand."""
    return _work(peer, plan, jobs, plan.concurrency)


def work_one(peer: Peer, plan: Plan, jobs: int) -> tuple[float, ...]:
    """The same, one job at a time."""
    return _work(peer, plan, jobs, 1)


def _work(peer: Peer, plan: Plan, jobs: int, concurrency: int) -> tuple[float, ...]:
    with plan.start() as server:
        call(peer, "add", server.url, jobs, limit_s=plan.limit_s)
        with PeerProcess(peer, "work", server.url, jobs, concurrency, limit_s=plan.limit_s) as worker:
            worker.answer()
            done = worker.answer()
    return (done["jobs"] / done["seconds"],)


def bulk(peer: Peer, plan: Plan, jobs: int) -> tuple[float, ...]:
    """Jobs added a second the peer's best way; what a waiting job takes in the server's memory, in bytes."""
    with plan.start() as server, server.client() as client:
        call(peer, "add", server.url, 100, limit_s=plan.limit_s)  # scripts and keys that are there once
        before = client.info("memory")["used_memory"]
        done = call(peer, "add", server.url, jobs, limit_s=plan.limit_s)
        taken = client.info("memory")["used_memory"] - before
    return done["jobs"] / done["seconds"], taken / jobs


def each(peer: Peer, plan: Plan, jobs: int) -> tuple[float, ...]:
    """Jobs added a second by single calls, 100 of them in flight."""
    with plan.start() as server:
        done = call(peer, "each", server.url, jobs, limit_s=plan.limit_s)
    return (done["jobs"] / done["seconds"],)


def pick_up(peer: Peer, plan: Plan, jobs: int) -> tuple[float, ...]:
    """Milliseconds from before the call that adds a job to the job's start in an idle worker: p50, p99."""
    pings, concurrency = plan.pings + WARM_PINGS, most(peer, plan)
    with (
        plan.start() as server,
        PeerProcess(peer, "work", server.url, pings, concurrency, limit_s=plan.limit_s) as worker,
    ):
        worker.answer()
        time.sleep(plan.settle_s)
        call(peer, "ping", server.url, pings, limit_s=plan.limit_s)
        waits_ms = [us / 1000 for us in worker.answer()["latencies_us"][WARM_PINGS:]]
    hundredths = statistics.quantiles(waits_ms, n=100, method="inclusive")
    return hundredths[49], hundredths[98]


def rest(peer: Peer, plan: Plan, jobs: int) -> tuple[float, ...]:
    """An idle worker: memory of all its processes (MB); requests a second that it sends, and commands a second
    that the server runs for it, those inside scripts included.
    """
    with (
        plan.start() as server,
        server.client() as client,
        PeerProcess(peer, "rest", server.url, most(peer, plan), limit_s=plan.limit_s) as worker,
    ):
        worker.answer()
        time.sleep(plan.settle_s)
        before, begin_s = client.info("stats"), time.monotonic()
        time.sleep(plan.rest_s)
        after, seconds = client.info("stats"), time.monotonic() - begin_s
        worker.require_running()
        # Each difference contains one of our own two INFO.
        requests, commands = (
            (after[counter] - before[counter] - 1) / seconds
            for counter in ("total_reads_processed", "total_commands_processed")
        )
        return resident_bytes(worker.pid) / 1e6, requests, commands


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("work", (Figure("work", "no-op jobs, concurrency 100", "jobs/s", True),), work),
        Measure("work1", (Figure("work1", "no-op jobs, concurrency 1", "jobs/s", True),), work_one),
        Measure(
            "bulk",
            (
                Figure("bulk", "add in bulk", "jobs/s", True),
                Figure("bytes", "memory of a waiting job", "bytes", False),
            ),
            bulk,
        ),
        Measure("each", (Figure("each", "add, 100 calls in flight", "jobs/s", True),), each),
        Measure(
            "pick",
            (
                Figure("pick_p50", "pick-up when idle, p50", "ms", False),
                Figure("pick_p99", "pick-up when idle, p99", "ms", False),
            ),
            pick_up,
            is_rate=False,
        ),
        Measure(
            "rest",
            (
                Figure("rest_rss", "worker at rest", "MB", False),
                Figure("rest_requests", "requests when idle", "1/s", False),
                Figure("rest_commands", "commands when idle, with those in scripts", "1/s", False),
            ),
            rest,
            is_rate=False,
        ),
    )
}


def most(peer: Peer, plan: Plan) -> int:
    """The concurrency that a worker of this peer gets when there is no reason for less."""
    return min(plan.concurrency, peer.max_concurrency or plan.concurrency)


def can(peer: Peer, measure: Measure, plan: Plan) -> bool:
    """Whether the peer has what is measured: not all run 100 jobs in one process."""
    return measure.name != "work" or most(peer, plan) == plan.concurrency
