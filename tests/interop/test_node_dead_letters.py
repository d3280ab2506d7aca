"""Dead letters as Node sees them: ordinary jobs of an ordinary queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN, OpenNode, reaches, reread, working
from tests.support.node import NodeQueue
from tests.support.until import until

from toril.engine.dead_letters import DEAD_LETTER, DeadLetters
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.errors import JobNotFoundError

pytestmark = WITH_NODE


async def are_there(letters: DeadLetters, count: int) -> bool:
    return (await letters.list())[1] == count


@pytest_asyncio.fixture(loop_scope="module")
async def queue(server_url: str, prefix: str, queue_name: str) -> AsyncIterator[Queue]:
    """The test's queue as Toril opens it, with dead letters."""
    async with Queue(queue_name, url=server_url, prefix=prefix, dead_letter=DEAD_LETTER) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def letters(server_url: str, prefix: str) -> AsyncIterator[DeadLetters]:
    async with DeadLetters(url=server_url, prefix=prefix) as opened:
        yield opened


async def broken(job: Job[Any]) -> None:
    raise RuntimeError("no luck")


async def test_node_reads_the_letter_of_its_own_job(
    queue: Queue, node_queue: NodeQueue, open_node: OpenNode
) -> None:
    node_letters = await open_node(DEAD_LETTER)
    await node_letters.on("global:waiting")
    job = await node_queue.add("pay", {"to": "سلمى", "sum": 1.5}, attempts=2, removeOnFail=True)
    letter_id = f"1:{queue.name}:{job['id']}"
    async with working(queue, broken):
        await node_letters.event("global:waiting", job_id=letter_id)
    letter = await node_letters.get_job(letter_id) or {}
    assert [waiting["id"] for waiting in await node_letters.call("getWaiting")] == [letter_id]
    counts = await node_letters.get_job_counts()
    assert (counts["waiting"], sum(counts.values())) == (1, 1)
    assert await node_letters.get_state(letter_id) == "waiting"
    assert (letter["name"], letter["opts"]["jobId"], letter["attemptsMade"]) == ("pay", letter_id, 0)
    kept = letter["data"]
    assert (kept["queue"], kept["jobId"], kept["name"]) == (queue.name, job["id"], "pay")
    assert (kept["data"], kept["failedReason"], kept["attemptsMade"]) == (job["data"], "no luck", 2)
    assert (kept["opts"], kept["timestamp"]) == (job["opts"], job["timestamp"])
    assert len(kept["stacktrace"]) == 2


async def test_node_runs_what_a_letter_brings_back(
    queue: Queue, node_queue: NodeQueue, letters: DeadLetters
) -> None:
    await node_queue.on("global:waiting")
    kept = await node_queue.add("pay", {"n": 1}, priority=2)
    gone = await node_queue.add("pay", {"n": 2}, removeOnFail=True, jobId="order-7")
    async with working(queue, broken):
        await until(lambda: are_there(letters, 2), within_s=WITHIN)
    assert len((await letters.retry_all(queue.name)).done) == 2
    for job in (kept, gone):
        await node_queue.event("global:waiting", job_id=job["id"], count=2)
    await node_queue.process({"do": "echo"}, name="pay")
    assert await node_queue.finished(kept["id"]) == {"n": 1}
    assert await node_queue.finished("order-7") == {"n": 2}
    again = await node_queue.get_job("order-7") or {}
    assert (again["timestamp"], again["attemptsMade"]) == (gone["timestamp"], 0)
    assert again["opts"] == gone["opts"]


async def test_a_letter_that_node_removes_is_gone(
    queue: Queue, open_node: OpenNode, letters: DeadLetters
) -> None:
    job = await queue.add("pay", {})
    async with working(queue, broken):
        await reaches(queue, "failed", job.id)
    letter_id = f"1:{queue.name}:{job.id}"
    assert await letters.get(letter_id) is not None
    await (await open_node(DEAD_LETTER)).remove(letter_id)
    assert await letters.list() == ([], 0)
    with pytest.raises(JobNotFoundError):
        await letters.retry(letter_id)


async def test_what_a_worker_of_node_fails_becomes_no_letter(
    queue: Queue, node_queue: NodeQueue, letters: DeadLetters, redis: Redis
) -> None:
    job = await queue.add("pay", {})
    await node_queue.process({"do": "fail", "message": "no luck"}, name="pay")
    await reaches(queue, "failed", job.id)
    assert (await reread(queue, job.id)).failed_reason == "no luck"
    assert await letters.list() == ([], 0)
    assert not await redis.exists(letters.queue.keys.of("id"))
