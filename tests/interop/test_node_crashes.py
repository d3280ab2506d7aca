"""Workers that die or lose their lock, and the other side that goes on."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN, OpenNode, both_servers, reaches, reread, working
from tests.support.node import NodeBull, NodeError, NodeQueue
from tests.support.processes import worker_process
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.errors import JobFailedError

pytestmark = WITH_NODE

#: Bull's settings for workers that notice soon, and ours.
FAST_NODE = {"lockDuration": 1_000, "stalledInterval": 150}
FAST = {"lock_duration": 1.0, "stalled_interval": 0.15}


@both_servers
async def test_a_job_of_our_killed_worker_is_run_again_by_node(
    queue: Queue, open_node: OpenNode, server_url: str, prefix: str
) -> None:
    async with worker_process(server_url, prefix, queue.name, **FAST) as process:
        job = await queue.add("endless", {"n": 1}, attempts=2)
        await reaches(queue, "active", job.id)
        process.kill()
        await process.wait()
    node_queue = await open_node(settings=FAST_NODE)
    await node_queue.on("global:stalled", "stalled")
    await node_queue.process({"do": "echo"}, name="*")
    assert await job.result(WITHIN) == {"n": 1}
    assert (await node_queue.event("global:stalled")).args == [job.id]
    await node_queue.event("stalled", job_id=job.id)
    done = await reread(queue, job.id)
    assert (done.stalled_counter, done.attempts_made) == (1, 0)


@both_servers
async def test_a_job_of_nodes_killed_worker_is_run_again_by_us(
    queue: Queue, node_queue: NodeQueue, server_url: str, prefix: str
) -> None:
    stalled: list[str] = []
    queue.on("stalled", stalled.append)
    await node_queue.on("global:stalled")
    job = await node_queue.add("work", {"n": 1}, attempts=2)
    await kill_node_in_a_job(queue, server_url, prefix, job["id"])

    async def work(job: Job[Any]) -> int:
        return job.attempts_made

    async with working(queue, work, **FAST):
        assert await node_queue.finished(job["id"]) == 0
    assert (await node_queue.event("global:stalled")).args == [job["id"]]
    assert stalled == [job["id"]]
    assert (await reread(queue, job["id"])).stalled_counter == 1


async def kill_node_in_a_job(queue: Queue, server_url: str, prefix: str, job_id: str) -> None:
    async with NodeBull() as node:
        worker = await node.open(queue.name, server_url, prefix, settings=FAST_NODE)
        await worker.process({"do": "never"}, name="*")
        await worker.event("processing", job_id=job_id)
        await node.kill()


async def test_stalls_are_counted_together_and_too_many_fail_the_job(
    queue: Queue, node_queue: NodeQueue, server_url: str, prefix: str
) -> None:
    await node_queue.on("global:failed", "global:stalled")
    job = await queue.add("endless", {}, attempts=5)
    await kill_node_in_a_job(queue, server_url, prefix, job.id)
    async with worker_process(server_url, prefix, queue.name, **FAST) as process:
        await node_queue.event("global:stalled", job_id=job.id)
        await reaches(queue, "active", job.id)
        process.kill()
        await process.wait()
    failed: list[Any] = []
    queue.on("failed", lambda job, error: failed.append((job.id, str(error))))
    async with working(queue, lambda job: None, **FAST):
        with pytest.raises(JobFailedError):
            await job.result(WITHIN)
    assert failed == [(job.id, "job stalled more than allowable limit")]
    # Bull publishes other words than it stores.
    told = (await node_queue.event("global:failed")).args
    assert told == [job.id, "job stalled more than maxStalledCount", "active"]
    with pytest.raises(NodeError, match=r"^job stalled more than allowable limit$"):
        await node_queue.finished(job.id)
    done = await node_queue.get_job(job.id) or {}
    assert (await reread(queue, job.id)).stalled_counter == 2
    assert (done["attemptsMade"], await node_queue.get_state(job.id)) == (0, "failed")


async def test_a_long_job_of_ours_is_never_taken_for_stalled(
    queue: Queue, open_node: OpenNode, redis: Redis
) -> None:
    node_queue = await open_node(settings={"stalledInterval": 50})
    await node_queue.on("global:stalled")
    started, gate = asyncio.Event(), asyncio.Event()

    async def work(job: Job[Any]) -> str:
        started.set()
        await gate.wait()
        return "done"

    async with working(queue, work, lock_duration=1.5, lock_renew=0.25):
        job = await queue.add("long", {})
        await asyncio.wait_for(started.wait(), WITHIN)
        await node_queue.process({"do": "echo"}, name="other")
        checks: set[str] = set()

        async def many_checks() -> bool:
            checks.add(await redis.get(queue.keys.of("stalled-check")))
            return len(checks) > 34  # longer than the lock lives if it is not renewed

        await until(many_checks, within_s=WITHIN)
        gate.set()
        assert await job.result(WITHIN) == "done"
    assert node_queue.events == []
    assert (await reread(queue, job.id)).stalled_counter == 0


async def test_a_worker_of_ours_that_lost_its_lock_changes_nothing(
    queue: Queue, node_queue: NodeQueue, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    started, gate = asyncio.Event(), asyncio.Event()

    async def work(job: Job[Any]) -> None:
        started.set()
        await gate.wait()
        raise RuntimeError("of the past")

    async with working(queue, work):
        job = await queue.add("work", {}, attempts=3)
        await asyncio.wait_for(started.wait(), WITHIN)
        # As a stalled check does after the lock has run out.
        await redis.delete(queue.keys.lock(job.id))
        await redis.lmove(queue.keys.of("active"), queue.keys.of("wait"), "RIGHT", "LEFT")
        await node_queue.process({"do": "wait"}, name="work")
        await node_queue.event("processing", job_id=job.id)
        with caplog.at_level(logging.WARNING):
            gate.set()
            await until(lambda: told(caplog, "outcome_not_stored"), within_s=WITHIN)
        await node_queue.release(job.id, "of Node")
        assert await job.result(WITHIN) == "of Node"
    done = await reread(queue, job.id)
    assert (done.attempts_made, done.failed_reason, done.stacktrace) == (0, None, [])


async def test_a_worker_of_nodes_that_lost_its_lock_does_not_disturb_ours(
    queue: Queue, node_queue: NodeQueue, redis: Redis
) -> None:
    await node_queue.process({"do": "wait"}, name="work")
    job = await queue.add("work", {})
    await node_queue.event("processing", job_id=job.id)
    await redis.delete(queue.keys.lock(job.id))
    await redis.lmove(queue.keys.of("active"), queue.keys.of("wait"), "RIGHT", "LEFT")
    gate = asyncio.Event()

    async def work(job: Job[Any]) -> str:
        await gate.wait()
        return "ours"

    async with working(queue, work):
        await reaches(queue, "active", job.id)
        await node_queue.release(job.id, "too late")
        await node_queue.event("error")
        gate.set()
        assert await job.result(WITHIN) == "ours"
    assert await job.state() == "completed"


async def told(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text
