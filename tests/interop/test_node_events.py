"""What one side publishes, heard by the other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN, OpenNode, both_servers, working
from tests.support.node import NodeError, NodeEvent, NodeQueue

from toril.engine.events import QueueEvent
from toril.engine.job import Job
from toril.engine.options import Debounce
from toril.engine.queue import Queue
from toril.errors import JobFailedError, JobNotFoundError

pytestmark = WITH_NODE

#: Node's listeners of all that is published; ``global:stalled`` has tests of its own.
GLOBAL = (
    "waiting", "active", "progress", "completed", "failed", "drained", "paused", "resumed", "duplicated", "debounced",
)  # fmt: skip


async def work(job: Job[Any]) -> Any:
    """Reports progress, then returns or fails as the job's data say."""
    await job.update_progress({"at": 1})
    if "reason" in job.data:
        raise RuntimeError(job.data["reason"])
    return job.data["value"]


@both_servers
async def test_all_that_we_publish_is_heard_by_node(queue: Queue, node_queue: NodeQueue) -> None:
    await node_queue.on(*(f"global:{name}" for name in GLOBAL))
    async with working(queue, work):
        await queue.pause()
        good = await queue.add("good", {"value": {"é": [1, None]}}, job_id="good:1")
        await queue.resume()
        await good.result(WITHIN)
        bad = await queue.add("bad", {"reason": 'no "é"\n'}, attempts=2)
        with pytest.raises(JobFailedError):
            await bad.result(WITHIN)
        await queue.add("good", {"value": 0}, job_id="good:1")
        late = await queue.add("good", {"value": 0}, delay=60, debounce=Debounce("d"))
        await queue.add("good", {"value": 0}, debounce=Debounce("d"))
        await node_queue.event("global:debounced")
        await late.promote()
        assert await late.result(WITHIN) == 0
        await node_queue.event("global:completed", job_id=late.id)
        await node_queue.event("global:drained")
    assert about(node_queue, "good:1") == [
        NodeEvent("global:waiting", ["good:1", None]),
        NodeEvent("global:active", ["good:1", "waiting"]),
        NodeEvent("global:progress", ["good:1", {"at": 1}]),
        NodeEvent("global:completed", ["good:1", '{"é":[1,null]}', "active"]),
        NodeEvent("global:duplicated", ["good:1"]),
    ]
    # Of a retry without a wait only the start is told, and of failures only the last.
    assert about(node_queue, bad.id) == [
        NodeEvent("global:waiting", [bad.id, None]),
        NodeEvent("global:active", [bad.id, "waiting"]),
        NodeEvent("global:progress", [bad.id, {"at": 1}]),
        NodeEvent("global:active", [bad.id, "waiting"]),
        NodeEvent("global:progress", [bad.id, {"at": 1}]),
        NodeEvent("global:failed", [bad.id, 'no "é"\n', "active"]),
    ]
    assert about(node_queue, late.id) == [
        NodeEvent("global:debounced", [late.id]),
        NodeEvent("global:waiting", [late.id, None]),
        NodeEvent("global:active", [late.id, "waiting"]),
        NodeEvent("global:progress", [late.id, {"at": 1}]),
        NodeEvent("global:completed", [late.id, "0", "active"]),
    ]
    rest = [event for event in node_queue.events if event.job_id is None and event.name != "global:drained"]
    assert rest == [NodeEvent("global:paused"), NodeEvent("global:resumed")]


def about(node_queue: NodeQueue, job_id: str) -> list[NodeEvent]:
    return [event for event in node_queue.events if event.job_id == job_id]


async def test_local_events_stay_with_the_side_that_acts(
    queue: Queue, node_queue: NodeQueue, open_node: OpenNode
) -> None:
    heard: list[str] = []
    queue.on("waiting", heard.append)
    await queue.subscriber.ready()
    listener = await open_node()
    await listener.on("waiting", "completed", "global:waiting")
    await node_queue.on("waiting", "global:completed")
    async with working(queue, lambda job: None):
        ours = await queue.add("work", {})
        nodes = await node_queue.add("work", {})
        await ours.result(WITHIN)
        await node_queue.event("global:completed", job_id=nodes["id"])
    await node_queue.event("waiting", job_id=nodes["id"])
    await listener.event("global:waiting", count=2)
    assert heard == [ours.id]
    assert [event.job_id for event in node_queue.events if event.name == "waiting"] == [nodes["id"]]
    assert {event.name for event in listener.events} == {"global:waiting"}


@both_servers
async def test_all_that_node_publishes_is_heard_by_us(queue: Queue, node_queue: NodeQueue) -> None:
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
    late = (await node_queue.add("good", {}, delay=60_000, jobId="late", debounce={"id": "d"}))["id"]
    await node_queue.add("good", {}, jobId="late")
    await node_queue.add("good", {}, debounce={"id": "d"})
    heard: list[QueueEvent] = []
    wanted = {*GLOBAL, "delayed"}
    async with asyncio.timeout(WITHIN):
        async for event in events:
            heard.append(event)
            if {event.name for event in heard} >= wanted:
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
    assert [event for event in heard if event.job_id == late] == [
        QueueEvent("duplicated", late),
        QueueEvent("debounced", late),
    ]


async def test_results_and_reasons_of_nodes_workers_arrive(queue: Queue, node_queue: NodeQueue) -> None:
    await node_queue.process({"do": "echo"}, name="good")
    await node_queue.process({"do": "fail", "message": "no"}, name="bad")
    await queue.pause()  # a job that is deleted when it ends tells its result once, to those who listen
    good = await queue.add("good", {"n": [1, 2]}, remove_on_complete=True)
    bad = await queue.add("bad", {}, remove_on_fail=True)
    results = [asyncio.ensure_future(job.result(WITHIN)) for job in (good, bad)]
    await asyncio.sleep(0)
    await queue.subscriber.ready()
    await queue.resume()
    assert await results[0] == {"n": [1, 2]}
    with pytest.raises(JobFailedError, match="no"):
        await results[1]
    # Node's finished() would wait for ever here.
    with pytest.raises(JobNotFoundError, match="cannot be known"):
        await good.result(WITHIN)


async def test_results_and_reasons_of_our_workers_arrive(queue: Queue, node_queue: NodeQueue) -> None:
    await node_queue.pause()
    await node_queue.on("global:completed", "global:failed")
    good = await node_queue.add("good", {"value": [1, "é"]}, removeOnComplete=True)
    bad = await node_queue.add("bad", {"reason": "no"}, removeOnFail=True)
    results = [asyncio.ensure_future(node_queue.finished(job["id"])) for job in (good, bad)]
    for _ in range(
        4
    ):  # its answers come in order: then finished() has seen that the jobs are not, and listens
        await node_queue.get_job_counts()
    async with working(queue, work):
        await node_queue.resume()
        assert await results[0] == [1, "é"]
        with pytest.raises(NodeError, match=r"^no$"):
            await results[1]


async def test_what_has_ended_can_be_asked_for_from_the_other_side(
    queue: Queue, node_queue: NodeQueue, redis: Redis
) -> None:
    async with working(queue, work):
        for value in ("text", {"a": 1}, None, 0):
            job = await queue.add("good", {"value": value})
            await job.result(WITHIN)
            assert await node_queue.finished(job.id) == value
    await node_queue.process({"do": "asTold"})
    for behaviour, value in (
        ({"do": "return", "value": "text"}, "text"),
        ({"do": "return", "value": {"a": 1}}, {"a": 1}),
        ({"do": "progress", "values": []}, None),
    ):
        added = await node_queue.add_unnamed({"behaviour": behaviour})
        await node_queue.finished(added["id"])
        done = await queue.get_job(added["id"])
        assert done is not None
        assert await done.result(WITHIN) == value
