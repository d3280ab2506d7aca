"""What Node's workers publish, heard in Python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.node import NodeBull, NodeQueue, node_available

from toril.engine.events import QueueEvent
from toril.engine.queue import Queue
from toril.errors import JobFailedError

pytestmark = pytest.mark.skipif(not node_available(), reason=node_available().reason)


@pytest.fixture
async def node_queue(server_url: str, prefix: str, queue_name: str) -> AsyncIterator[NodeQueue]:
    async with NodeBull() as node:
        yield await node.open(queue_name, server_url, prefix=prefix)


async def test_all_that_node_publishes_is_heard(queue: Queue, node_queue: NodeQueue) -> None:
    events = queue.events()
    await queue.subscriber.ready()
    await node_queue.pause()
    await node_queue.resume()
    steps = [{"do": "progress", "values": [{"at": 1}]}, {"do": "return", "value": {"ok": True}}]
    await node_queue.process(steps, name="good")
    await node_queue.process({"do": "fail", "message": "no"}, name="bad")
    good = (await node_queue.add("good", {}))["id"]
    await node_queue.finished(good)
    bad = (await node_queue.add("bad", {}))["id"]
    late = (await node_queue.add("good", {}, delay=60_000, jobId="late"))["id"]
    await node_queue.add("good", {}, jobId="late")
    heard: list[QueueEvent] = []
    wanted = {
        "paused",
        "resumed",
        "waiting",
        "active",
        "progress",
        "completed",
        "failed",
        "delayed",
        "duplicated",
    }
    async with asyncio.timeout(15):
        async for event in events:
            heard.append(event)
            if {event.name for event in heard} >= wanted | {"drained"}:
                break
    assert [event for event in heard if event.job_id == good] == [
        QueueEvent("waiting", good),
        QueueEvent("active", good),
        QueueEvent("progress", good, {"at": 1}),
        QueueEvent("completed", good, {"ok": True}),
    ]
    assert [event for event in heard if event.job_id == bad] == [
        QueueEvent("waiting", bad),
        QueueEvent("active", bad),
        QueueEvent("failed", bad, "no"),
    ]
    assert QueueEvent("duplicated", late) in heard


async def test_results_and_reasons_of_nodes_workers_arrive(queue: Queue, node_queue: NodeQueue) -> None:
    await node_queue.process({"do": "echo"}, name="good")
    await node_queue.process({"do": "fail", "message": "no"}, name="bad")
    await queue.pause()  # a job that is deleted when it ends tells its result once, to those who listen
    good = await queue.add("good", {"n": [1, 2]}, remove_on_complete=True)
    bad = await queue.add("bad", {}, remove_on_fail=True)
    results = [asyncio.ensure_future(job.result(15)) for job in (good, bad)]
    await asyncio.sleep(0)
    await queue.subscriber.ready()
    await queue.resume()
    assert await results[0] == {"n": [1, 2]}
    with pytest.raises(JobFailedError, match="no"):
        await results[1]
