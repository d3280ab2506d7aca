"""Attempts that go on from one side to the other, and what cannot be run at all."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN, OpenNode, echo, make_due, reaches, reread, working
from tests.support.node import NodeError, NodeQueue
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.errors import JobFailedError

pytestmark = WITH_NODE


async def test_attempts_go_on_across_languages(
    queue: Queue, node_queue: NodeQueue, open_node: OpenNode, redis: Redis
) -> None:
    entered: list[tuple[int, int]] = []

    async def work(job: Job[Any]) -> None:
        entered.append((job.attempts_made, len(job.stacktrace)))
        raise RuntimeError("second")

    job = await queue.add("work", {}, attempts=3, backoff=3_600)
    first = await open_node()
    await first.process({"do": "fail", "message": "first"}, name="work")
    await reaches(queue, "delayed", job.id)
    await first.close()
    await make_due(redis, queue, job.id)
    async with working(queue, work):
        await until(lambda: attempts(queue, job.id, 2))
    assert entered == [(1, 1)]
    await make_due(redis, queue, job.id)
    await node_queue.process({"do": "return", "value": "third"}, name="work")
    assert await job.result(WITHIN) == "third"
    last = (await node_queue.event("processing", job_id=job.id)).args[0]
    assert last["attemptsMade"] == 2
    assert last["stacktrace"][0].startswith("Error: first\n")
    assert last["stacktrace"][1].endswith("RuntimeError: second\n")


async def attempts(queue: Queue, job_id: str, count: int) -> bool:
    return (await reread(queue, job_id)).attempts_made == count


async def test_of_many_stacks_the_newest_are_kept(queue: Queue, node_queue: NodeQueue) -> None:
    async def work(job: Job[Any]) -> None:
        raise RuntimeError(f"try {job.attempts_made + 1}")

    job = await node_queue.add("work", {}, attempts=4, stackTraceLimit=2)
    async with working(queue, work):
        with pytest.raises(NodeError, match="try 4"):
            await node_queue.finished(job["id"])
    stacks = (await node_queue.get_job(job["id"]) or {})["stacktrace"]
    assert [stack.splitlines()[-1] for stack in stacks] == ["RuntimeError: try 3", "RuntimeError: try 4"]


@pytest.mark.parametrize("by_node", [True, False], ids=["node retries ours", "we retry Node's"])
async def test_a_failed_job_is_retried_from_the_other_side(
    queue: Queue, node_queue: NodeQueue, by_node: bool
) -> None:
    async def work(job: Job[Any]) -> int:
        if job.attempts_made == 0:
            raise RuntimeError("not yet")
        return job.attempts_made

    await node_queue.on("global:waiting")
    job = await queue.add("work", {})
    if by_node:
        async with working(queue, work):
            with pytest.raises(JobFailedError, match="not yet"):
                await job.result(WITHIN)
            await node_queue.retry(job.id)
            assert await node_queue.finished(job.id) == 1
    else:
        steps = [{"do": "failTimes", "times": 1, "message": "not yet"}, {"do": "return", "value": 1}]
        await node_queue.process(steps, name="work")
        with pytest.raises(NodeError, match="not yet"):
            await node_queue.finished(job.id)
        await job.retry()
        assert await job.result(WITHIN) == 1
    await node_queue.event("global:waiting", job_id=job.id, count=2)
    done = await node_queue.get_job(job.id) or {}
    # The count goes on, as Bull keeps it, and the reason of the failure goes.
    assert (done["attemptsMade"], done.get("failedReason"), len(done["stacktrace"])) == (1, None, 1)
    assert done["retriedOn"] >= done["timestamp"]


async def test_what_is_no_job_is_dropped_rather_than_run_empty(
    queue: Queue, node_queue: NodeQueue, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await redis.lpush(queue.keys.of("wait"), "ghost")
    job = await node_queue.add("echo", {"n": 1})
    with caplog.at_level(logging.WARNING):
        async with working(queue, echo):
            assert await node_queue.finished(job["id"]) == {"n": 1}
    assert "ghosts_dropped" in caplog.text
    assert await redis.exists(queue.keys.job("ghost")) == 0
    assert (await node_queue.get_job_counts())["completed"] == 1


async def test_data_that_is_not_json_fails_at_once(queue: Queue, node_queue: NodeQueue, redis: Redis) -> None:
    bad = await node_queue.add("echo", {"n": 1}, attempts=3)
    await redis.hset(queue.keys.job(bad["id"]), "data", "{n: 1}")
    good = await node_queue.add("echo", {"n": 2})
    async with working(queue, echo):
        assert await node_queue.finished(good["id"]) == {"n": 2}
        with pytest.raises(JobFailedError, match="data is not JSON"):
            await (await reread(queue, bad["id"])).result(WITHIN)
    assert (await node_queue.get_job_counts())["failed"] == 1


async def test_all_failed_jobs_are_retried_from_either_side(
    queue: Queue, node_queue: NodeQueue, redis: Redis
) -> None:
    ran: list[str] = []

    async def work(job: Job[Any]) -> None:
        ran.append(job.id)
        if job.attempts_made < 2:
            raise RuntimeError("not yet")

    async with working(queue, work, concurrency=1):
        order = [job.id for job in await queue.add_bulk([("work", n) for n in range(8)])]
        await reaches(queue, "failed", *order)
        failed = await redis.zrange(queue.keys.of("failed"), 0, -1)  # those of one ms by their ids
        await queue.pause()
        await node_queue.retry_jobs(count=3)
        assert [job["id"] for job in await node_queue.get_jobs(["paused"], asc=True)] == failed
        await queue.resume()
        await until(lambda: so_many(ran, 16), within_s=WITHIN)
        await reaches(queue, "failed", *order)
        again = await redis.zrange(queue.keys.of("failed"), 0, -1)
        await node_queue.pause()
        assert await queue.retry_jobs(count=3) == 8
        assert [job.id for job in await queue.get_waiting()] == again
        await node_queue.resume()
        await reaches(queue, "completed", *order)
    assert ran == [*order, *failed, *again]


async def so_many(ran: list[str], count: int) -> bool:
    return len(ran) == count
