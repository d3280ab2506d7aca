"""Each side pauses, cleans and removes what the other has put there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN, both_servers, echo, reaches, working
from tests.support.node import NodeError, NodeQueue

from toril.engine.job import Job
from toril.engine.options import Debounce
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.errors import JobLockedError, JobNotFoundError, JobStateError

pytestmark = WITH_NODE


async def test_our_jobs_wait_while_node_has_paused(queue: Queue, node_queue: NodeQueue, redis: Redis) -> None:
    await node_queue.pause()
    assert await queue.is_paused()
    async with working(queue, echo):
        plain = await queue.add("work", 1)
        urgent = await queue.add("work", 2, priority=1)
        late = await queue.add("work", 3, delay=0.05)
        await reaches(queue, "paused", plain.id, urgent.id, late.id)
        assert await redis.lrange(queue.keys.of("paused"), 0, -1) == [late.id, plain.id, urgent.id]
        assert not await redis.exists(queue.keys.of("wait"))
        counts = await node_queue.get_job_counts()
        assert counts == {"waiting": 0, "active": 0, "completed": 0, "failed": 0, "delayed": 0, "paused": 3}
        await node_queue.resume()
        for job in (plain, urgent, late):
            assert await job.result(WITHIN) == job.data
    assert not await queue.is_paused()


@both_servers
async def test_nodes_workers_stop_while_we_have_paused(queue: Queue, node_queue: NodeQueue) -> None:
    await node_queue.on("global:paused", "global:resumed")
    await node_queue.process({"do": "wait"}, name="work", concurrency=2)
    running = await queue.add("work", {})
    await node_queue.event("processing", job_id=running.id)
    await queue.pause()
    await node_queue.event("global:paused")
    assert await node_queue.is_paused()
    waiting = await node_queue.add("work", {})
    await node_queue.release(running.id, "done")
    assert await running.result(WITHIN) == "done"
    assert await node_queue.get_state(waiting["id"]) == "paused"
    await queue.resume()
    # Its blocked worker takes the job from the renamed list at once.
    await node_queue.event("processing", job_id=waiting["id"], within_s=4)
    await node_queue.event("global:resumed")
    assert not await node_queue.is_paused()


async def test_our_idle_worker_starts_when_node_resumes(queue: Queue, node_queue: NodeQueue) -> None:
    async with working(queue, echo):
        await (await queue.add("work", 1)).result(WITHIN)
        await node_queue.pause()
        job = await node_queue.add("work", 2)
        assert (await node_queue.get_job_counts())["paused"] == 1
        await node_queue.resume()
        assert await node_queue.finished(job["id"], within_s=4) == 2


async def test_what_a_worker_holds_cannot_be_removed_from_the_other_side(
    queue: Queue, node_queue: NodeQueue
) -> None:
    gate = asyncio.Event()

    async def hold(job: Job[Any]) -> None:
        await gate.wait()

    async with working(queue, hold):
        ours = await node_queue.add("work", {})
        await reaches(queue, "active", ours["id"])
        with pytest.raises(NodeError, match=f"Could not remove job {ours['id']}"):
            await node_queue.remove(ours["id"])
        with pytest.raises(NodeError, match="active jobs"):
            await node_queue.obliterate()
        await node_queue.resume()  # it stays paused after that
        gate.set()
        await node_queue.finished(ours["id"])
    await node_queue.process({"do": "wait"}, name="work")
    nodes = await queue.add("work", {})
    await node_queue.event("processing", job_id=nodes.id)
    with pytest.raises(JobLockedError):
        await nodes.remove()
    await node_queue.release(nodes.id)
    await nodes.result(WITHIN)
    await nodes.remove()
    await node_queue.remove(ours["id"])
    assert set((await node_queue.get_job_counts()).values()) == {0}


async def fill(queue: Queue, node_queue: NodeQueue) -> None:
    """Jobs in every state but active, with logs, priorities, schedules and markers, from both sides."""
    async with working(queue, fail_odd):
        for number in range(4):
            await queue.add("work", number)
            await node_queue.add("work", number)
        await reaches(queue, "completed", "1", "2", "5", "6")
        await reaches(queue, "failed", "3", "4", "7", "8")
    await queue.pause()
    for number in range(2):
        await queue.add("work", number, delay=3_600)
        await node_queue.add("work", number, delay=3_600_000)
        await queue.add("work", number, priority=2)
        await node_queue.add("work", number, priority=1)
        await queue.add("work", number)
        await node_queue.add("work", number)
    await queue.add("work", {}, debounce=Debounce("d"))


async def fail_odd(job: Job[Any]) -> None:
    await job.log("seen")
    if isinstance(job.data, int) and job.data % 2:
        raise RuntimeError("odd")


async def leftovers(redis: Redis, queue: Queue) -> set[str]:
    """What is left of a queue, apart from what remembers calls and heartbeats."""
    base = queue.keys.of("")
    keys = {key.removeprefix(base) for key in await redis.keys(f"{base}*")}
    told = ("toril:producers:", "toril:answers:", "toril:workers", "stalled-check")
    return {key for key in keys if not key.startswith(told)}


async def test_our_clean_up_leaves_nothing_node_would_count(
    queue: Queue, node_queue: NodeQueue, redis: Redis
) -> None:
    await fill(queue, node_queue)
    counts = {"completed": 4, "failed": 4, "delayed": 4, "paused": 9, "waiting": 0, "active": 0}
    assert await node_queue.get_job_counts() == await queue.counts() == counts
    for state in ("completed", "failed", "delayed", "paused"):
        assert len(await queue.clean(0, state)) == counts[state]
        counts[state] = 0
        assert await node_queue.get_job_counts() == counts
    assert await leftovers(redis, queue) == {"id", "meta", "meta-paused"}


async def test_nodes_clean_up_works_on_our_jobs(queue: Queue, node_queue: NodeQueue, redis: Redis) -> None:
    await fill(queue, node_queue)
    for state, count in (("completed", 4), ("failed", 4), ("delayed", 4), ("paused", 9)):
        assert len(await node_queue.clean(0, state)) == count
        assert (await queue.counts(state))[state] == 0
    assert await leftovers(redis, queue) == {"id", "meta", "meta-paused"}


async def test_the_queue_can_be_obliterated_by_either_side(
    queue: Queue, node_queue: NodeQueue, redis: Redis
) -> None:
    await fill(queue, node_queue)
    await queue.add("work", {}, repeat=Repeat(every=3_600))
    await queue.obliterate()
    assert await leftovers(redis, queue) == set()
    assert set((await node_queue.get_job_counts()).values()) == {0}
    await fill(queue, node_queue)
    await node_queue.obliterate()
    assert set((await queue.counts()).values()) == {0}
    assert await leftovers(redis, queue) == {"de:d"}  # which Bull leaves
    assert (await queue.add("work", {})).id == "1"


async def test_jobs_are_removed_by_pattern_on_either_side(queue: Queue, node_queue: NodeQueue) -> None:
    for name in ("foo", "foo1", "foo2", "bar"):
        await queue.add("work", {}, job_id=f"p{name}", priority=1)
        await node_queue.add("work", {}, jobId=f"n{name}", delay=60_000)
    assert sorted(await queue.remove_jobs("nfoo*")) == ["nfoo", "nfoo1", "nfoo2"]
    await node_queue.remove_jobs("pfoo*")
    assert {job.id for job in await queue.get_jobs()} == {"pbar", "nbar"}
    assert await node_queue.get_counts_per_priority([0, 1]) == {"0": 0, "1": 1}


async def test_a_debounced_job_is_found_by_both(queue: Queue, node_queue: NodeQueue, redis: Redis) -> None:
    first = await queue.add("work", 1, debounce=Debounce("d"))
    assert (await node_queue.add("work", 2, debounce={"id": "d"}))["id"] == first.id
    await node_queue.remove(first.id)
    second = await node_queue.add("work", 3, debounce={"id": "d"})
    assert (await queue.add("work", 4, debounce=Debounce("d"))).id == second["id"]
    async with working(queue, echo):
        assert await node_queue.finished(second["id"]) == 3
    third = await node_queue.add("work", 5, debounce={"id": "d", "ttl": 60_000})
    assert third["id"] not in (first.id, second["id"])
    await node_queue.process({"do": "echo"}, name="work")
    assert await node_queue.finished(third["id"]) == 5
    # A marker with a time to live outlives its job.
    assert (await queue.add("work", 6, debounce=Debounce("d"))).id == third["id"]
    assert await redis.pttl(queue.keys.of("de:d")) > 0


async def test_an_id_that_exists_changes_nothing_on_either_side(queue: Queue, node_queue: NodeQueue) -> None:
    await node_queue.on("global:duplicated")
    await queue.add("work", 1, job_id="one")
    await node_queue.add("work", 2, jobId="two")
    assert (await node_queue.add("other", 3, jobId="one"))["id"] == "one"
    assert (await queue.add("other", 4, job_id="two")).id == "two"
    await node_queue.event("global:duplicated", job_id="one")
    await node_queue.event("global:duplicated", job_id="two")
    jobs = await node_queue.get_jobs(["waiting"], asc=True)
    assert [(job["id"], job["name"], job["data"]) for job in jobs] == [("one", "work", 1), ("two", "work", 2)]
    assert (await queue.add("work", 5)).id == "5"  # each add takes a number


async def test_what_has_not_failed_is_not_retried_nor_damaged(queue: Queue, node_queue: NodeQueue) -> None:
    await node_queue.process({"do": "echo"}, name="work")
    job = await queue.add("work", 1)
    await job.result(WITHIN)
    with pytest.raises(JobStateError, match="has not failed"):
        await job.retry()
    with pytest.raises(JobStateError, match="not in a delayed state"):
        await job.promote()
    done = await node_queue.get_job(job.id) or {}
    assert done["finishedOn"] >= done["processedOn"]
    await node_queue.remove(job.id)
    with pytest.raises(JobNotFoundError):
        await job.retry()
