"""bull-board over a queue that Toril fills and works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN, echo, reaches, reread, working
from tests.support.node import NodeQueue

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.errors import JobFailedError

pytestmark = WITH_NODE


class Board:
    """The board's HTTP interface, for one queue."""

    def __init__(self, client: httpx.AsyncClient, queue: str) -> None:
        self._client, self._queue = client, queue

    async def listed(self, status: str = "latest", **query: Any) -> dict[str, Any]:
        """The queue with its jobs of a status."""
        answer = await self._client.get(
            "/api/queues", params={"activeQueue": self._queue, "status": status, **query}
        )
        (queue,) = answer.raise_for_status().json()["queues"]
        return dict(queue)

    async def ids(self, status: str, **query: Any) -> list[str]:
        return [job["id"] for job in (await self.listed(status, **query))["jobs"]]

    async def get(self, path: str) -> Any:
        return (await self._client.get(f"/api/queues/{self._queue}/{path}")).raise_for_status().json()

    async def put(self, path: str) -> httpx.Response:
        return await self._client.put(f"/api/queues/{self._queue}/{path}")

    async def patch(self, path: str, body: Any) -> httpx.Response:
        return await self._client.patch(f"/api/queues/{self._queue}/{path}", json=body)

    async def post(self, path: str, body: Any) -> httpx.Response:
        return await self._client.post(f"/api/queues/{self._queue}/{path}", json=body)


@pytest_asyncio.fixture(loop_scope="module")
async def board(node_queue: NodeQueue) -> AsyncIterator[Board]:
    async with httpx.AsyncClient(base_url=await node_queue.board(), timeout=WITHIN) as client:
        yield Board(client, node_queue.name)


async def work(job: Job[Any]) -> Any:
    """Fails its first attempt if its data say so."""
    await job.log(f"attempt {job.attempts_made + 1}")
    await job.update_progress(40)
    if job.data == "fails" or (job.data == "fails once" and job.attempts_made == 0):
        raise RuntimeError("no luck")
    return {"worked": job.data}


async def test_jobs_of_all_states_are_listed(queue: Queue, board: Board) -> None:
    async with working(queue, work):
        done = [await queue.add("mail", number) for number in range(12)]
        failed = await queue.add("mail", "fails")
        await reaches(queue, "completed", *(job.id for job in done))
        await reaches(queue, "failed", failed.id)
    late = await queue.add("mail", {}, delay=3_600)
    waiting = [(await queue.add("mail", {"to": "é"}, priority=priority)).id for priority in (2, 1)]
    shown = await board.listed()
    assert shown["counts"] == {
        "waiting": 2, "active": 0, "completed": 12, "failed": 1, "delayed": 1, "paused": 0
    }  # fmt: skip
    assert (shown["isPaused"], shown["type"], shown["hasWorkers"]) == (False, "bull", False)
    newest_first = [job.id for job in await queue.get_completed()]
    assert sorted(newest_first) == sorted(job.id for job in done)
    assert await board.ids("completed", jobsPerPage=5) == newest_first[:5]
    assert await board.ids("completed", jobsPerPage=5, page=3) == newest_first[10:]
    assert await board.ids("failed") == [failed.id]
    assert await board.ids("delayed") == [late.id]
    assert sorted(await board.ids("waiting")) == sorted(waiting)
    assert len(await board.ids("latest", jobsPerPage=10)) == 10 + 1 + 1 + 2
    await queue.pause()
    shown = await board.listed("paused")
    assert (shown["isPaused"], sorted(job["id"] for job in shown["jobs"])) == (True, sorted(waiting))


async def test_a_job_is_shown_with_its_failure_and_its_log(queue: Queue, board: Board) -> None:
    job = await queue.add("mail", "fails", attempts=2, backoff=0.001)
    async with working(queue, work):
        await reaches(queue, "failed", job.id)
    shown = await board.get(job.id)
    assert shown["status"] == "failed"
    details = shown["job"]
    assert (details["name"], details["data"], details["progress"]) == ("mail", "fails", 40)
    assert (details["failedReason"], details["isFailed"]) == ("no luck", True)
    assert details["attempts"] == 3  # the board adds one
    assert [trace.endswith("RuntimeError: no luck\n") for trace in details["stacktrace"]] == [True, True]
    assert details["timestamp"] <= details["processedOn"] <= details["finishedOn"]
    assert details["opts"] == job.opts
    assert await board.get(f"{job.id}/logs") == ["attempt 1", "attempt 2"]
    good = await queue.add("mail", {"to": "é"})
    async with working(queue, work):
        await good.result(WITHIN)
    details = (await board.get(good.id))["job"]
    assert (details["returnValue"], details["isFailed"]) == ({"worked": {"to": "é"}}, False)


async def test_a_job_retried_from_the_board_is_run_by_us(queue: Queue, board: Board) -> None:
    async with working(queue, work):
        job = await queue.add("mail", "fails once")
        with pytest.raises(JobFailedError):
            await job.result(WITHIN)
        assert (await board.put(f"{job.id}/retry")).status_code == 204
        assert await job.result(WITHIN) == {"worked": "fails once"}
        assert (await reread(queue, job.id)).attempts_made == 1
        assert (await board.put(f"{job.id}/retry")).status_code >= 400  # it has not failed this time
        many = await queue.add_bulk([("mail", "fails once") for _ in range(120)])
        await reaches(queue, "failed", *(job.id for job in many))
        answer = await board.put("retry/failed")
        assert answer.json() == {"retried": 120, "skipped": 0}
        await reaches(queue, "completed", *(job.id for job in many))


async def test_delayed_jobs_are_promoted_and_changed(queue: Queue, board: Board) -> None:
    jobs = [await queue.add("mail", number, delay=3_600) for number in range(3)]
    assert (await board.patch(f"{jobs[0].id}/update-data", {"jobData": {"new": 1}})).status_code == 200
    async with working(queue, echo):
        await board.put(f"{jobs[0].id}/promote")
        assert await jobs[0].result(WITHIN) == {"new": 1}
        await board.put("promote")
        assert [await job.result(WITHIN) for job in jobs[1:]] == [1, 2]
        answer = await board.post(
            "add", {"name": "mail", "data": {"by": "board"}, "options": {"priority": 2}}
        )
        added = await reread(queue, answer.json()["job"]["id"])
        assert await added.result(WITHIN) == {"by": "board"}


async def test_jobs_are_removed_and_cleaned(queue: Queue, board: Board, redis: Redis) -> None:
    async with working(queue, work):
        jobs = [await queue.add("mail", data) for data in (1, 2, "fails")]
        await reaches(queue, "failed", jobs[2].id)
        await reaches(queue, "completed", jobs[0].id, jobs[1].id)
    assert (await board.put(f"{jobs[0].id}/clean")).status_code == 204
    assert await queue.get_job(jobs[0].id) is None
    assert await redis.exists(queue.keys.logs(jobs[0].id)) == 0
    await board.put("clean/completed")
    assert await board.ids("completed") == [jobs[1].id]  # younger than the board's five seconds
    for job, state in ((jobs[1], "completed"), (jobs[2], "failed")):
        finished = (await reread(queue, job.id)).finished_on
        assert finished is not None
        await redis.hset(queue.keys.job(job.id), "finishedOn", finished - 10_000)
        await redis.zadd(queue.keys.of(state), {job.id: finished - 10_000})
        await board.put(f"clean/{state}")
    assert set((await queue.counts()).values()) == {0}
    await queue.add("mail", {})
    await board.put("empty")
    assert set((await queue.counts()).values()) == {0}


async def test_the_queue_is_paused_and_resumed(queue: Queue, board: Board) -> None:
    async with working(queue, echo):
        await board.put("pause")
        job = await queue.add("mail", 1)
        assert (await queue.is_paused(), await job.state()) == (True, "paused")
        await board.put("resume")
        assert await job.result(WITHIN) == 1


async def test_workers_and_metrics_are_shown(queue: Queue, board: Board) -> None:
    async with working(queue, work, metrics=60):
        assert (await board.listed())["hasWorkers"]
        assert len((await board.get("workers"))["workers"]) == 1
        for data in (1, 2, "fails"):
            job = await queue.add("mail", data)
            await reaches(queue, "failed" if data == "fails" else "completed", job.id)
        shown = await board.get("metrics")
    assert (shown["completed"]["meta"]["count"], shown["failed"]["meta"]["count"]) == (2, 1)


async def test_the_next_run_of_a_schedule_is_spared(queue: Queue, board: Board, redis: Redis) -> None:
    run = await queue.add("mail", {}, repeat=Repeat(cron="0 3 * * *", tz="Asia/Riyadh"))
    assert (await board.listed())["jobSchedulerCount"] == 1
    answer = await board.put(f"{run.id}/clean")
    assert (answer.status_code, answer.json()["code"]) == (400, "JOB_BELONGS_TO_JOB_SCHEDULER")
    await redis.hset(queue.keys.job(run.id), "timestamp", 1)
    await board.put("clean/delayed")
    assert await run.state() == "delayed"
    (schedule,) = await queue.schedules()
    assert (await board.put(f"job-schedulers/{quote(schedule.key, safe='')}/remove")).status_code == 204
    assert await queue.schedules() == []
    assert await queue.get_job(run.id) is None
