"""What both sides say about one queue."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, OpenNode, as_told, both_servers, echo, reaches, working
from tests.support.node import NodeQueue
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.options import Debounce
from toril.engine.queue import Queue

pytestmark = WITH_NODE

STATES = ("waiting", "active", "completed", "failed", "delayed", "paused")
RANGES = [(0, -1), (0, 1), (1, 2), (-3, -1), (-300, 99_999), (2, 0), (5, 9)]


async def hold_or_fail(job: Job[Any]) -> Any:
    """Fails, waits for ever, or returns, as the job's data say."""
    if job.data == "fail":
        raise RuntimeError("told to fail")
    if job.data == "hold":
        await asyncio.Event().wait()
    await job.update_progress({"half": 0.5})
    return {"data": job.data}


@both_servers
@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
async def test_both_see_the_same_jobs_in_the_same_order(
    queue: Queue, node_queue: NodeQueue, paused: bool
) -> None:
    async with working(queue, hold_or_fail, concurrency=3, grace=0):
        for number in range(4):
            for data in (number, "fail"):
                job = await queue.add("work", data, stack_trace_limit=1)
                await reaches(queue, "failed" if data == "fail" else "completed", job.id)
        for _ in range(3):
            await node_queue.add("work", "hold")
        await reaches(queue, "active", "9", "10", "11")
        if paused:
            await queue.pause()
        for number in range(4):
            await queue.add("work", number)
            await queue.add("work", number, priority=4 - number)
            await queue.add("work", number, delay=600 - number)
            await node_queue.add("work", number, lifo=True)
        await queue.add(
            "work", [], debounce=Debounce("é"), delay=1_000, job_id="late:1", attempts=3, backoff=2
        )
        await check_lists(queue, node_queue)
        await check_each(queue, node_queue)
        await check_numbers(queue, node_queue)


async def check_lists(queue: Queue, node_queue: NodeQueue) -> None:
    for states in ([state] for state in STATES):
        for start, end in RANGES:
            for asc in (False, True):
                theirs = await node_queue.get_jobs(states, start, end, asc=asc)
                ours = await queue.get_jobs(states, start, end, asc=asc)
                assert [job.id for job in ours] == [job["id"] for job in theirs], (states, start, end, asc)
    mixed = ["failed", "waiting", "delayed", "paused"]
    theirs = await node_queue.get_jobs(mixed, 1, 2, asc=True)
    assert [job.id for job in await queue.get_jobs(mixed, 1, 2, asc=True)] == [job["id"] for job in theirs]
    for name, ours in (
        ("getWaiting", await queue.get_waiting(1, 4)),
        ("getActive", await queue.get_active()),
        ("getDelayed", await queue.get_delayed(1, 2)),
        ("getCompleted", await queue.get_completed(0, 2)),
        ("getFailed", await queue.get_failed(1, 9)),
    ):
        bounds = {"getWaiting": (1, 4), "getDelayed": (1, 2), "getCompleted": (0, 2), "getFailed": (1, 9)}
        theirs = await node_queue.call(name, *bounds.get(name, ()))
        assert [job.id for job in ours] == [job["id"] for job in theirs], name


async def check_each(queue: Queue, node_queue: NodeQueue) -> None:
    for job in await queue.get_jobs():
        theirs = await node_queue.get_job(job.id) or {}
        ours = job.to_dict()
        # Bull leaves out what is undefined, and shows false data as an object.
        told = {key: value for key, value in ours.items() if value is not None}
        shown = {key: value for key, value in theirs.items() if value is not None and key != "retriedOn"}
        told["stacktrace"], shown["stacktrace"] = told.get("stacktrace") or [], shown.get("stacktrace") or []
        assert {**told, "data": told["data"] or {}} == {**shown, "data": shown["data"] or {}}
        assert await queue.state(job.id) == await node_queue.get_state(job.id)


async def check_numbers(queue: Queue, node_queue: NodeQueue) -> None:
    assert await queue.counts() == await node_queue.get_job_counts()
    assert await queue.count() == await node_queue.call("count")
    priorities = [0, 1, 2, 3, 4, 5]
    ours = await queue.counts_per_priority(priorities)
    assert ours == {
        int(level): n for level, n in (await node_queue.get_counts_per_priority(priorities)).items()
    }


async def test_both_read_a_log_alike(queue: Queue, node_queue: NodeQueue) -> None:
    job = await queue.add("work", {})
    for number in range(5):
        await (job.log(f"row {number}") if number % 2 else node_queue.log(job.id, f"row {number}"))
    for start, end in RANGES:
        for asc in (True, False):
            rows, count = await queue.logs(job.id, start, end, asc)
            assert {"logs": rows, "count": count} == await node_queue.get_job_logs(
                job.id, start, end, asc=asc
            )


@both_servers
async def test_workers_of_both_are_listed_by_both(queue: Queue, node_queue: NodeQueue) -> None:
    async with working(queue, echo), working(queue, echo):
        assert len(await node_queue.get_workers()) == 2
        await node_queue.process({"do": "echo"})
        ours, theirs = await queue.workers(), await node_queue.get_workers()
        assert {worker["id"] for worker in ours} == {worker["id"] for worker in theirs}
        assert {worker["name"] for worker in [*ours, *theirs]} == {queue.name}
        assert len(ours) == 3
    assert len(await queue.workers()) == len(await node_queue.get_workers()) == 1


async def test_a_worker_of_a_queue_with_a_longer_name_is_not_ours(
    open_node: OpenNode, server_url: str, prefix: str
) -> None:
    short, longer = await open_node("abc"), await open_node("abcd")
    await longer.process({"do": "echo"})
    assert len(await short.get_workers()) == 1  # Bull compares the start of a text that has no end
    async with Queue("abc", url=server_url, prefix=prefix) as queue:
        assert await queue.workers() == []


@pytest.mark.parametrize("kind", ["completed", "failed"])
async def test_metrics_are_counted_alike(
    open_node: OpenNode, redis: Redis, server_url: str, prefix: str, kind: str
) -> None:
    nodes, ours = await open_node("nodes", metrics={"maxDataPoints": 5}), await open_node("ours")
    steps = [{"do": "fail", "message": "no"} if kind == "failed" else {"do": "echo"}]
    await nodes.process(steps)
    counted = await count(nodes, redis, prefix, kind)
    async with (
        Queue("ours", url=server_url, prefix=prefix) as queue,
        working(queue, as_told(steps), metrics=5),
    ):
        assert await count(ours, redis, prefix, kind) == counted
        told = await queue.metrics(kind)
    assert [str(number) for number in told["data"]] == counted["data"]
    assert counted["data"] == ["0", "2", "1", "0", "0"]


async def count(node_queue: NodeQueue, redis: Redis, prefix: str, kind: str) -> dict[str, Any]:
    """Metrics after some jobs, some minutes apart as the queue believes."""
    key = f"{prefix}:{node_queue.name}:metrics:{kind}"
    await node_queue.on(f"global:{kind}")
    total = 0
    for jobs, minutes in ((3, 0), (1, 3), (2, 1), (4, 2), (1, 0)):
        if total:
            await until(lambda: amid_a_minute(redis))
            seconds, _ = await redis.time()
            await redis.hset(key, "prevTS", (seconds // 60 - minutes) * 60_000)
        await node_queue.add_bulk([{"data": {}}] * jobs)
        total += jobs
        await node_queue.event(f"global:{kind}", count=total)
    metrics = await node_queue.get_metrics(kind)
    del metrics["meta"]["prevTS"]
    return metrics


async def amid_a_minute(redis: Redis) -> bool:
    seconds, _ = await redis.time()
    return bool(seconds % 60 < 59)
