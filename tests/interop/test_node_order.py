"""Order and time: both sides put jobs in the same places and start them when they are due."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN, OpenNode, both_servers, reread, working
from tests.support.node import NodeQueue
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue

pytestmark = WITH_NODE


def ids(jobs: list[Job[Any]]) -> list[str]:
    return [job.id for job in jobs]


async def test_priorities_of_both_sides_are_one_order(queue: Queue, node_queue: NodeQueue) -> None:
    await node_queue.add("work", {}, priority=3)
    await queue.add("work", {}, priority=3)
    await node_queue.add("work", {}, priority=2)
    await queue.add("work", {}, priority=1)
    assert ids(await queue.get_waiting()) == ["4", "3", "1", "2"]
    await node_queue.remove("1")
    await queue.add("work", {}, priority=10)
    await node_queue.add("work", {})
    await queue.add("work", {})
    assert [job["id"] for job in await node_queue.get_jobs(["waiting"], asc=True)] == list("432567")
    counts = await node_queue.get_counts_per_priority([0, 1, 2, 3, 10])
    assert counts == {"0": 2, "1": 1, "2": 1, "3": 1, "10": 1}
    assert await queue.counts_per_priority([0, 1, 2, 3, 10]) == {0: 2, 1: 1, 2: 1, 3: 1, 10: 1}


@both_servers
@pytest.mark.parametrize("seed", range(3))
async def test_any_mix_of_adds_is_placed_as_by_node_alone(
    queue: Queue, node_queue: NodeQueue, open_node: OpenNode, redis: Redis, seed: int
) -> None:
    dice = random.Random(seed)
    alone = await open_node("alone")
    for _ in range(60):
        options = dice.choice(
            [{"priority": dice.randint(1, 5)}, {"priority": dice.randint(1, 5)}, {"lifo": True}, {}]
        )
        await alone.add("work", {}, **options)
        if dice.random() < 0.5:
            await node_queue.add("work", {}, **options)
        else:
            await queue.add("work", {}, **options)
    wait = queue.keys.of("wait")
    assert await redis.lrange(wait, 0, -1) == await redis.lrange(wait.replace(queue.name, "alone"), 0, -1)


async def test_a_delayed_job_of_ours_wakes_idle_nodes(queue: Queue, open_node: OpenNode) -> None:
    # Node would look by itself a minute from now.
    node_queue = await open_node(settings={"guardInterval": 60_000})
    await node_queue.process({"do": "echo"}, name="work")
    job = await queue.add("work", {}, delay=0.2)
    await job.result(WITHIN)
    assert 0 <= await lateness_ms(queue, job.id) < 2_000


async def test_a_delayed_job_of_nodes_wakes_idle_workers_of_ours(queue: Queue, node_queue: NodeQueue) -> None:
    async with working(queue, lambda job: None):
        job = await node_queue.add("work", {}, delay=200)
        await node_queue.finished(job["id"])
    assert 0 <= await lateness_ms(queue, job["id"]) < 2_000


async def lateness_ms(queue: Queue, job_id: str) -> float:
    job = await reread(queue, job_id)
    assert job.timestamp is not None
    assert job.processed_on is not None
    return job.processed_on - (job.timestamp + job.opts["delay"])


@pytest.mark.parametrize("by_node", [True, False], ids=["Node promotes", "we promote"])
async def test_jobs_due_at_one_time_run_as_they_were_added(
    queue: Queue, node_queue: NodeQueue, by_node: bool
) -> None:
    stamp = int(datetime.now(UTC).timestamp() * 1000)
    made = datetime.fromtimestamp(stamp / 1000, UTC)
    added: list[str] = []
    for number in range(12):
        priority = {"priority": 4 - number // 3} if number >= 6 else {}
        if number % 3:
            added.append((await queue.add("work", {}, delay=0.3, timestamp=made, **priority)).id)
        else:
            added.append((await node_queue.add("work", {}, delay=300, timestamp=stamp, **priority))["id"])
    assert ids(await queue.get_delayed()) == added
    expected = [*added[9:], *added[6:9], *added[:6]]
    assert await run_all(queue, node_queue, by_node, len(added)) == expected


async def test_the_head_of_the_queue_is_the_same_for_both(queue: Queue, node_queue: NodeQueue) -> None:
    await queue.add_bulk([("work", n) for n in range(3)])
    await queue.add("work", {}, lifo=True)
    await node_queue.add("work", {}, lifo=True)
    assert ids(await queue.get_waiting()) == ["5", "4", "1", "2", "3"]
    assert await run_all(queue, node_queue, True, 5) == ["5", "4", "1", "2", "3"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, ["fails", "a", "b", "fails"], id="behind the others"),
        pytest.param({"lifo": True}, ["fails", "fails", "a", "b"], id="to the head"),
        pytest.param({"priority": 1}, ["fails", "fails", "a", "b"], id="by its priority"),
    ],
)
async def test_a_retried_job_goes_to_one_place_on_either_side(
    queue: Queue, node_queue: NodeQueue, options: dict[str, Any], expected: list[str]
) -> None:
    ran: list[str] = []

    async def work(job: Job[Any]) -> None:
        ran.append(job.id)
        if job.id == "fails" and job.attempts_made == 0:
            raise RuntimeError("not yet")

    async def all_ran() -> bool:
        return len(ran) == 4

    async def add() -> None:
        await queue.pause()
        fails = {"behaviour": {"do": "failTimes", "times": 1, "message": "not yet"}}
        passes = {"behaviour": {"do": "return", "value": 1}}
        await node_queue.add("work", fails, jobId="fails", attempts=2, removeOnComplete=True, **options)
        for job_id in ("a", "b"):
            place = {"priority": 2} if "priority" in options else {}
            await node_queue.add("work", passes, jobId=job_id, removeOnComplete=True, **place)
        await queue.resume()

    await add()
    async with working(queue, work, concurrency=1):
        await until(all_ran, within_s=WITHIN)
    assert ran == expected
    await add()
    await node_queue.process({"do": "asTold"}, name="work")
    await node_queue.event("processing", count=4, within_s=WITHIN)
    assert [event.job_id for event in node_queue.events if event.name == "processing"] == expected


async def run_all(queue: Queue, node_queue: NodeQueue, by_node: bool, count: int) -> list[str]:
    """Let one worker run that many jobs one by one; returns their ids in order."""
    if by_node:
        await node_queue.process({"do": "echo"}, name="work")
        await node_queue.event("processing", count=count, within_s=WITHIN)
        return [str(event.job_id) for event in node_queue.events if event.name == "processing"]
    ran: list[str] = []

    async def all_ran() -> bool:
        return len(ran) == count

    async def note(job: Job[Any]) -> None:
        ran.append(job.id)

    async with working(queue, note, concurrency=1):
        await until(all_ran, within_s=WITHIN)
    return ran
