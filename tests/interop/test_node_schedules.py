"""Schedules that Node's Bull and Toril carry on for each other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.interop import WITH_NODE, WITHIN, echo, working
from tests.support.node import NodeQueue
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.engine.worker import Worker

pytestmark = WITH_NODE

#: Both sides' words for some schedules.
SCHEDULES: list[tuple[Repeat, dict[str, Any]]] = [
    (Repeat(every=5), {"every": 5_000}),
    (Repeat(cron="0 9 * * *", tz="Europe/Athens"), {"cron": "0 9 * * *", "tz": "Europe/Athens"}),
    (
        Repeat(cron="*/7 3 * * 1-5", end_date=datetime(2090, 1, 1, tzinfo=UTC), limit=9),
        {"cron": "*/7 3 * * 1-5", "endDate": "2090-01-01T00:00:00.000Z", "limit": 9},
    ),
    (Repeat(every=3_600, job_id="mine"), {"every": 3_600_000, "jobId": "mine"}),
]


async def enough(runs: list[Any], count: int) -> None:
    async def reached() -> bool:
        return len(runs) >= count

    await until(reached, within_s=60)


@pytest.mark.parametrize(("ours", "nodes"), SCHEDULES)
async def test_equal_settings_are_one_schedule_whoever_adds_it_first(
    queue: Queue, node_queue: NodeQueue, ours: Repeat, nodes: dict[str, Any]
) -> None:
    options = {key: value for key, value in nodes.items() if key != "jobId"}
    job_id = {"jobId": nodes["jobId"]} if "jobId" in nodes else {}
    first = await node_queue.add("report", {"v": 1}, repeat=options, **job_id)
    added = await queue.add("report", {"v": 2}, repeat=ours)
    assert added.id == first["id"]
    (run,) = await queue.get_delayed()
    assert run.data == {"v": 1}
    await queue.remove_schedule(added.opts["repeat"]["key"])
    assert await node_queue.get_repeatable_jobs() == []

    added = await queue.add("report", {"v": 2}, repeat=ours)
    again = await node_queue.add("report", {"v": 1}, repeat=options, **job_id)
    assert again["id"] == added.id
    (stored,) = await queue.get_delayed()
    assert {**again["opts"], **_moving(stored.opts)} == {**stored.opts, **_moving(stored.opts)}
    (listed,) = await node_queue.get_repeatable_jobs()
    schedule = (await queue.schedules())[0]
    assert (listed["key"], listed["next"], listed["cron"]) == (schedule.key, schedule.next, schedule.cron)
    await node_queue.remove_repeatable("report", {**options, **job_id})
    assert await queue.get_delayed() == []
    assert await queue.schedules() == []


def _moving(opts: dict[str, Any]) -> dict[str, Any]:
    return {name: opts[name] for name in ("delay", "timestamp")} | {"repeat": opts["repeat"]}


async def test_nodes_schedule_goes_on_with_workers_of_ours_alone(queue: Queue, node_queue: NodeQueue) -> None:
    runs: list[Job[Any]] = []

    async def note(job: Job[Any]) -> None:
        runs.append(job)

    await node_queue.add("report", {"v": 1.5}, repeat={"every": 200, "limit": 4})
    async with Worker(queue, note, concurrency=3):
        await enough(runs, 4)
        await until(lambda: _nothing_left(queue))
    assert [job.opts["repeat"]["count"] for job in runs] == [1, 2, 3, 4]
    assert [job.data for job in runs] == [{"v": 1.5}] * 4
    times = [job.opts["prevMillis"] for job in runs]
    assert sorted(set(times)) == times
    assert all(time % 200 == 0 for time in times)


async def test_our_schedule_goes_on_with_nodes_workers_alone(queue: Queue, node_queue: NodeQueue) -> None:
    job = await queue.add("report", {"v": 1}, repeat=Repeat(every=0.2, limit=4))
    await node_queue.process({"do": "echo"}, name="report")
    assert (await node_queue.event("processing", count=4)).args[0]["data"] == {"v": 1}
    await until(lambda: _nothing_left(queue))
    done = await queue.get_completed()
    assert [run.opts["repeat"]["count"] for run in done] == [4, 3, 2, 1]
    assert {run.opts["repeat"]["key"] for run in done} == {job.opts["repeat"]["key"]}


async def test_both_kinds_of_workers_run_a_schedule_without_doubles(
    queue: Queue, node_queue: NodeQueue
) -> None:
    runs: list[str] = []

    async def note(job: Job[Any]) -> None:
        runs.append(job.id)

    await queue.add("report", {}, repeat=Repeat(every=0.1, limit=20))
    await node_queue.process({"do": "echo"}, name="report", concurrency=2)
    async with Worker(queue, note, concurrency=2):
        await until(lambda: _finished(queue, 20), within_s=60)
        await until(lambda: _nothing_left(queue))
    nodes = [event.job_id for event in node_queue.events if event.name == "processing"]
    assert len(runs) + len(nodes) == len({*runs, *nodes}) == 20


async def test_a_run_that_fails_is_tried_again_and_runs_go_on(queue: Queue, node_queue: NodeQueue) -> None:
    async def fail_once(job: Job[Any]) -> None:
        if job.attempts_made == 0:
            raise RuntimeError("not yet")

    await node_queue.add("report", {}, repeat={"every": 100, "limit": 10}, attempts=2, backoff=20)
    await node_queue.process({"do": "failTimes", "times": 1, "message": "not yet"}, name="report")
    async with working(queue, fail_once):
        await until(lambda: _finished(queue, 10), within_s=WITHIN)
        await until(lambda: _nothing_left(queue))
    done = await queue.get_completed()
    assert {run.attempts_made for run in done} == {1}
    times = [run.opts["prevMillis"] for run in done]
    assert len(set(times)) == len(times)
    # Node numbers a run twice when a second attempt is so late that it meets the run after it.
    assert {run.opts["repeat"]["count"] for run in done} == set(range(1, 11))


async def test_a_repeated_job_of_nodes_bulk_add_is_a_plain_one(queue: Queue, node_queue: NodeQueue) -> None:
    (added,) = await node_queue.add_bulk([{"name": "report", "data": 1, "opts": {"repeat": {"every": 100}}}])
    async with working(queue, echo):
        assert await node_queue.finished(added["id"]) == 1
    assert await queue.schedules() == []
    assert await _nothing_left(queue)


async def test_a_schedule_of_ours_comes_back_after_nodes_empty(queue: Queue, node_queue: NodeQueue) -> None:
    job = await queue.add("report", {"v": 1}, repeat=Repeat(every=3_600))
    await node_queue.empty()
    assert await queue.get_delayed() == []
    await queue.heal_schedules()
    assert await queue.heal_schedules() == [job.opts["repeat"]["key"]]
    (again,) = await queue.get_delayed()
    assert (again.id, again.data) == (job.id, {"v": 1})


async def _nothing_left(queue: Queue) -> bool:
    counts = await queue.counts()
    return counts["delayed"] == counts["waiting"] == counts["active"] == 0


async def _finished(queue: Queue, count: int) -> bool:
    return (await queue.counts())["completed"] >= count
