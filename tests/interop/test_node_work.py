"""Jobs that one side adds and the other works."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.interop import (
    WITH_NODE,
    WITHIN,
    both_servers,
    echo,
    reread,
    working,
)
from tests.support.node import NodeBull, NodeError, NodeQueue
from tests.support.until import until

from toril.engine.backoff import Backoff
from toril.engine.job import Job
from toril.engine.options import Debounce, Keep
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.errors import JobFailedError

pytestmark = WITH_NODE

#: Data that both sides must read alike.
DATA: list[Any] = [
    "plain",
    "",
    "كشف الحساب لشهر رمضان",
    "🐂🎉 ñ \u2028 \u0000 \"quoted\" \\ </script>",
    2**53,
    -(2**53),
    0,
    0.1,
    1e21,
    5e-324,
    True,
    False,
    None,
    [],
    {},
    [None, [1, [2, [3, {"deep": {"er": [{}]}}]]]],
    {"": 1, "k:e:y": None, "مفتاح": ["ب"]},
    "ж" * 500_000,
]  # fmt: skip


@both_servers
async def test_node_works_a_job_of_ours(queue: Queue, node_queue: NodeQueue, redis: Redis) -> None:
    data = {"file": "a.png", "sizes": [64, 512]}
    ours = await queue.add(
        "resize", data, attempts=3, backoff=Backoff.exponential(2), priority=3, timeout=timedelta(minutes=1),
        remove_on_complete=Keep(count=5, age=60), remove_on_fail=100, stack_trace_limit=4, job_id="ours",
    )  # fmt: skip
    nodes = await node_queue.add(
        "resize", data, attempts=3, backoff={"type": "exponential", "delay": 2_000}, priority=3, timeout=60_000,
        removeOnComplete={"count": 5, "age": 60}, removeOnFail=100, stackTraceLimit=4, jobId="nodes",
    )  # fmt: skip
    assert await stored(redis, queue, ours.id) == await stored(redis, queue, nodes["id"])

    await node_queue.process([{"do": "log", "rows": ["done"]}, {"do": "echo"}], name="resize")
    assert await ours.result(WITHIN) == data
    seen = (await node_queue.event("processing", job_id="ours")).args[0]
    assert (seen["name"], seen["data"], seen["attemptsMade"]) == ("resize", data, 0)
    assert seen["opts"] == ours.opts
    done = await reread(queue, "ours")
    assert (done.return_value, await done.state()) == (data, "completed")
    assert await queue.logs("ours") == (["done"], 1)


async def stored(redis: Redis, queue: Queue, job_id: str) -> dict[str, Any]:
    """A job's hash without what differs between two like jobs."""
    fields = await redis.hgetall(queue.keys.job(job_id))
    opts = json.loads(fields.pop("opts"))
    assert opts.pop("timestamp") == int(fields.pop("timestamp"))
    assert opts.pop("jobId") == job_id
    return {**fields, "opts": opts}


@both_servers
async def test_we_work_a_job_of_nodes(queue: Queue, node_queue: NodeQueue) -> None:
    seen: list[Job[Any]] = []

    async def resize(job: Job[Any]) -> dict[str, Any]:
        seen.append(job)
        return {"files": 2, "note": "é"}

    added = await node_queue.add("resize", {"file": "a.png"}, attempts=3, backoff=500, jobId="r1")
    async with working(queue, resize):
        assert await node_queue.finished("r1") == {"files": 2, "note": "é"}
    (job,) = seen
    assert (job.id, job.name, job.data, job.attempts_made) == ("r1", "resize", {"file": "a.png"}, 0)
    assert (job.opts, job.timestamp) == (added["opts"], added["timestamp"])
    assert job.options.backoff == Backoff.fixed(0.5)
    done = await node_queue.get_job("r1") or {}
    assert done["returnvalue"] == {"files": 2, "note": "é"}
    assert done["finishedOn"] >= done["processedOn"] >= added["timestamp"]
    assert await node_queue.get_state("r1") == "completed"


@pytest.mark.parametrize("queue_name", ["of two words. and dots", "قائمة-🐂", "a:b", "-", "x" * 300])
async def test_any_name_is_the_same_queue_for_both(queue: Queue, node_queue: NodeQueue) -> None:
    heard: list[str] = []
    queue.on("global:completed", lambda job_id, value: heard.append(job_id))
    await queue.subscriber.ready()
    async with working(queue, echo):
        (worker,) = await node_queue.get_workers()
        assert worker["name"] == queue.name
        nodes = await node_queue.add("work", 1)
        assert await node_queue.finished(nodes["id"]) == 1
    await node_queue.process({"do": "echo"}, name="work")
    assert await (await queue.add("work", 2)).result(WITHIN) == 2
    assert [worker["name"] for worker in await queue.workers()] == [queue.name]

    async def both_heard() -> bool:
        return heard == ["1", "2"]

    await until(both_heard, within_s=WITHIN)


async def test_any_data_goes_to_node_and_back(queue: Queue, node_queue: NodeQueue) -> None:
    jobs = await queue.add_bulk([("echo", data) for data in DATA])
    await node_queue.process({"do": "echo"}, name="echo")
    for job, data in zip(jobs, DATA, strict=True):
        assert await job.result(WITHIN) == data
        shown = (await node_queue.event("processing", job_id=job.id)).args[0]["data"]
        assert shown == as_bull_shows(data)


async def test_any_data_of_nodes_comes_here_and_back(queue: Queue, node_queue: NodeQueue) -> None:
    jobs = [await node_queue.add("echo", data) for data in DATA]
    async with working(queue, echo):
        for job, data in zip(jobs, map(as_bull_shows, DATA), strict=True):
            assert await node_queue.finished(job["id"]) == data
            assert (await reread(queue, job["id"])).data == data


def as_bull_shows(data: Any) -> Any:
    """Bull stores and shows what is false for JavaScript as an empty object; its processors get it as it is."""
    return data if data or isinstance(data, list) else {}


async def test_our_failure_is_told_to_node(queue: Queue, node_queue: NodeQueue) -> None:
    async def work(job: Job[Any]) -> None:
        raise ValueError("no such file: é")

    job = await node_queue.add("resize", {})
    async with working(queue, work):
        with pytest.raises(NodeError, match=r"^no such file: é$"):
            await node_queue.finished(job["id"])
    failed = await node_queue.get_job(job["id"]) or {}
    assert failed["failedReason"] == "no such file: é"
    assert failed["attemptsMade"] == 1
    (trace,) = failed["stacktrace"]
    assert trace.startswith("Traceback")
    assert trace.endswith("ValueError: no such file: é\n")
    assert await node_queue.get_state(job["id"]) == "failed"
    with pytest.raises(NodeError, match=r"^no such file: é$"):  # also who asks later
        await node_queue.finished(job["id"])


async def test_nodes_failure_is_told_to_us(queue: Queue, node_queue: NodeQueue) -> None:
    await node_queue.process({"do": "fail", "message": "no such file: é"})
    job = await queue.add({})
    with pytest.raises(JobFailedError) as caught:
        await job.result(WITHIN)
    assert caught.value.reason == "no such file: é"
    failed = await reread(queue, job.id)
    assert failed.failed_reason == "no such file: é"
    assert failed.stacktrace[0].startswith("Error: no such file: é\n    at ")


async def test_our_progress_log_and_new_data_are_seen_by_node(queue: Queue, node_queue: NodeQueue) -> None:
    async def work(job: Job[Any]) -> None:
        await job.update_progress({"done": 0.5, "of": "é"})
        await job.log("first: é")
        await job.log("second")
        await job.update({"n": 2})

    job = await node_queue.add("work", {"n": 1})
    await node_queue.on("global:progress")
    async with working(queue, work):
        await node_queue.finished(job["id"])
    seen = await node_queue.get_job(job["id"]) or {}
    assert (seen["progress"], seen["data"]) == ({"done": 0.5, "of": "é"}, {"n": 2})
    assert await node_queue.get_job_logs(job["id"]) == {"logs": ["first: é", "second"], "count": 2}
    assert (await node_queue.event("global:progress")).args == [job["id"], {"done": 0.5, "of": "é"}]


async def test_progress_log_and_new_data_of_nodes_are_seen_by_us(queue: Queue, node_queue: NodeQueue) -> None:
    job = await queue.add("work", {"n": 1})
    steps = [
        {"do": "progress", "values": [10, {"done": 2}]},
        {"do": "log", "rows": ["first: é", "second"]},
        {"do": "update", "data": {"n": 2}},
    ]
    await node_queue.process(steps, name="work")
    assert await job.result(WITHIN) is None
    seen = await reread(queue, job.id)
    assert (seen.progress, seen.data) == ({"done": 2}, {"n": 2})
    assert await queue.logs(job.id) == (["first: é", "second"], 2)


async def test_who_wants_the_text_of_the_data_gets_it(queue: Queue, node_queue: NodeQueue) -> None:
    nodes = await node_queue.add("work", {"n": [1, 2]}, preventParsingData=True)
    async with working(queue, echo):
        assert await node_queue.finished(nodes["id"]) == '{"n":[1,2]}'
    ours = await queue.add("work", {"n": [1.0]}, prevent_parsing_data=True)
    await node_queue.process({"do": "echo"}, name="work")
    assert await ours.result(WITHIN) == '{"n":[1.0]}'


@pytest.mark.parametrize("tag", ["prefix", "name"])
async def test_a_hash_tag_keeps_all_keys_together(
    node: NodeBull, redis: Redis, server_url: str, prefix: str, queue_name: str, tag: str
) -> None:
    """A cluster puts what stands between braces into one slot."""
    name = f"{{{queue_name}}}" if tag == "name" else queue_name
    start = f"{{{prefix}}}" if tag == "prefix" else prefix
    node_queue = await node.open(name, server_url, start)
    async with (
        Queue(name, url=server_url, prefix=start) as queue,
        working(queue, echo, limiter={"max": 100, "duration": 60}),
    ):
        await node_queue.on("global:completed")
        ours = await queue.add("work", 1, priority=1, debounce=Debounce("d", ttl=60))
        nodes = await node_queue.add("work", 2, delay=1, jobId="a:b")
        await queue.add("work", 3, repeat=Repeat(every=3_600))
        assert await node_queue.finished(ours.id) == 1
        assert await node_queue.finished(nodes["id"]) == 2
        await node_queue.event("global:completed", count=2)
        keys = await redis.keys(f"*{prefix}*")
    assert len(keys) > 6
    assert {key[: len(start) + len(name) + 2] for key in keys} == {f"{start}:{name}:"}
    await node_queue.close()
