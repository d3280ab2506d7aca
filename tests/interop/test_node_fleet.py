"""Workers of both sides on one queue at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN, OpenNode, both_servers, echo, working
from tests.support.node import NodeQueue
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue

pytestmark = WITH_NODE


def ran_on(node_queue: NodeQueue) -> list[str]:
    """Ids of the jobs that Node's processors started, in order."""
    return [str(event.job_id) for event in node_queue.events if event.name == "processing"]


async def finished(queue: Queue, count: int, within_s: float = WITHIN) -> None:
    async def reached() -> bool:
        return (await queue.counts("completed"))["completed"] >= count

    await until(reached, within_s=within_s)


@both_servers
async def test_prioritised_jobs_are_done_once_by_both_the_urgent_first(
    queue: Queue, node_queue: NodeQueue, open_node: OpenNode, redis: Redis
) -> None:
    ran: list[str] = []

    async def note(job: Job[Any]) -> None:
        ran.append(job.id)

    await queue.pause()
    async with working(queue, note, concurrency=5), working(queue, note, concurrency=5):
        ours = await queue.add_bulk([("work", n, {"priority": 1 + n % 20}) for n in range(2_000)])
        # Node puts its own behind the window; a worker of ours brings them to their places.
        mixed = [{"name": "work", "data": n, "opts": {"priority": 1 + n % 20}} for n in range(100)]
        nodes = await node_queue.add_bulk(mixed)
        assert await redis.zcard(queue.keys.of("toril:overflow")) > 1_000
        assert (await queue.counts("paused"))["paused"] == 2_100
        second = await open_node()
        for node_worker in (node_queue, second):
            await node_worker.process({"do": "echo"}, name="work", concurrency=5)
        await queue.resume()
        await finished(queue, 2_100)
    ran_on_node = ran_on(node_queue) + ran_on(second)
    assert ran
    assert ran_on_node
    added = [job.id for job in ours] + [job["id"] for job in nodes]
    assert sorted(ran + ran_on_node) == sorted(added)
    started = sorted(await queue.get_completed(), key=lambda job: job.processed_on or 0)
    assert overtaken([int(job.priority) for job in started]) < 100


def overtaken(priorities: list[int]) -> int:
    """The largest number of less urgent jobs that were started before a more urgent one."""
    so_far = [0] * (max(priorities) + 2)
    worst = 0
    for priority in priorities:
        worst = max(worst, sum(so_far[priority + 1 :]))
        so_far[priority] += 1
    return worst


async def test_node_gets_all_prioritised_jobs_while_our_workers_are_busy(
    queue: Queue, node_queue: NodeQueue, redis: Redis
) -> None:
    busy, gate = asyncio.Event(), asyncio.Event()

    async def hold(job: Job[Any]) -> None:
        busy.set()
        await gate.wait()

    async with working(queue, hold, concurrency=1):
        await queue.add("long", {})
        await asyncio.wait_for(busy.wait(), WITHIN)
        jobs = await queue.add_bulk([("work", n, {"priority": 1 + n % 20}) for n in range(3_000)])
        assert await redis.zcard(queue.keys.of("toril:overflow")) > 2_000
        await node_queue.process({"do": "echo"}, name="work", concurrency=5)
        await finished(queue, 3_000)
        gate.set()
    assert sorted(ran_on(node_queue)) == sorted(job.id for job in jobs)


async def test_node_works_all_that_the_last_worker_of_ours_leaves(
    queue: Queue, node_queue: NodeQueue, redis: Redis
) -> None:
    await queue.pause()
    async with working(queue, lambda job: None), working(queue, lambda job: None):
        jobs = await queue.add_bulk([("work", n, {"priority": 1 + n % 20}) for n in range(2_000)])
        await queue.add("work", "last")
        assert await redis.zcard(queue.keys.of("toril:overflow")) > 1_000
        assert (await node_queue.get_job_counts())["paused"] < 600
    assert (await node_queue.get_job_counts())["paused"] == 2_001
    assert await node_queue.get_counts_per_priority(range(21)) == {
        "0": 1,
        **{str(n): 100 for n in range(1, 21)},
    }
    assert await redis.exists(queue.keys.of("toril:overflow")) == 0
    await node_queue.process({"do": "echo"}, name="work")
    await node_queue.resume()
    await node_queue.event("processing", count=2_001, within_s=WITHIN)
    expected = sorted(jobs, key=lambda job: (job.priority, int(job.id)))
    assert ran_on(node_queue) == [*(job.id for job in expected), "2001"]


async def test_plain_jobs_are_done_once_by_both(
    queue: Queue, node_queue: NodeQueue, open_node: OpenNode
) -> None:
    ran: list[str] = []

    async def note(job: Job[Any]) -> None:
        ran.append(job.id)

    second = await open_node()
    for node_worker in (node_queue, second):
        await node_worker.process({"do": "echo"}, name="work", concurrency=5)
    async with working(queue, note, concurrency=5), working(queue, note, concurrency=5):
        for step in range(10):
            await queue.add_bulk([("work", n) for n in range(100)])
            await node_queue.add_bulk([{"name": "work", "data": step}] * 100)
        await finished(queue, 2_000)
    ran_on_node = ran_on(node_queue) + ran_on(second)
    assert ran
    assert ran_on_node
    assert sorted(map(int, ran + ran_on_node)) == list(range(1, 2_001))


@pytest.mark.parametrize("group", [None, "customer"])
@pytest.mark.parametrize("node_first", [True, False], ids=["Node first", "we first"])
async def test_starts_are_counted_together_against_a_limit(
    queue: Queue, open_node: OpenNode, node_first: bool, group: str | None
) -> None:
    nodes = {"max": 3, "duration": 60_000, **({"groupKey": group} if group else {})}
    ours = {"max": 3, "duration": 60, **({"group_key": group} if group else {})}
    node_queue = await open_node(limiter=nodes)

    async def add(count: int) -> None:
        await node_queue.add_bulk([{"name": "work", "data": {"customer": "b"}}] * count)

    # Node parks what is over the limit, and so do we with groups; else it stays where it is.
    left = "waiting" if node_first and not group else "delayed"

    async def all_settled() -> bool:
        return await queue.counts("completed", left) == {"completed": 3, left: 2}

    if node_first:
        await node_queue.process({"do": "echo"}, name="work")
        await add(2)
        await finished(queue, 2)
        await node_queue.close()
        node_queue = await open_node(limiter=nodes)
        await add(3)
        async with working(queue, echo, limiter=ours):
            await until(all_settled, within_s=WITHIN)
    else:
        await add(2)
        async with working(queue, echo, limiter=ours):
            await finished(queue, 2)
        await add(3)
        await node_queue.process({"do": "echo"}, name="work")
        await until(all_settled, within_s=WITHIN)
    if group:  # another group has a count of its own
        other = await node_queue.add("work", {"customer": "c"})
        await node_queue.process({"do": "echo"}, name="*")
        await node_queue.finished(other["id"])


async def test_a_limit_holds_for_both_at_once(queue: Queue, open_node: OpenNode, redis: Redis) -> None:
    node_queue = await open_node(limiter={"max": 3, "duration": 400})
    await node_queue.process({"do": "echo"}, name="work", concurrency=3)
    async with working(queue, echo, concurrency=3, limiter={"max": 3, "duration": 0.4}):
        began = await redis.time()
        for number in range(6):
            await node_queue.add("work", number)
            await queue.add("work", number)
        await finished(queue, 12)
        ended = await redis.time()
    assert (ended[0] - began[0]) + (ended[1] - began[1]) / 1e6 >= 1.2  # three windows went by
