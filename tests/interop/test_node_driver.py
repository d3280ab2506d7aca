"""Node's Bull driven from Python, Node on both sides: what the interoperability tests stand on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.interop import OpenNode, needs_node, one_loop
from tests.support.node import NodeBull, NodeError, NodeQueue, node_available, redis_options
from tests.support.node_install import HERE
from tests.support.until import past


@pytest_asyncio.fixture(loop_scope="module")
async def queue(node_queue: NodeQueue) -> NodeQueue:
    """Here both sides are Node's."""
    return node_queue


def test_lock_file_names_no_registry() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []


def test_availability_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setenv("TORIL_NODE_MODULES", str(tmp_path))
    assert f"is not installed in {tmp_path}" in node_available().reason
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "node is not in PATH" in node_available().reason
    assert not node_available()


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("unix:///tmp/a.sock", {"path": "/tmp/a.sock", "db": 0}),
        ("redis://host/2", {"host": "host", "port": 6379, "db": 2}),
        ("redis://:pw@host:7000", {"host": "host", "port": 7000, "db": 0, "password": "pw"}),
    ],
)
def test_urls_become_node_options(url: str, options: dict[str, object]) -> None:
    assert redis_options(url) == options


@needs_node
@one_loop
class TestJobs:
    async def test_job_added_by_one_queue_object_is_worked_by_another(
        self, queue: NodeQueue, open_node: OpenNode
    ) -> None:
        worker = await open_node()
        await worker.process({"do": "sum"}, name="add")
        job = await queue.add("add", {"a": 2, "b": 3})
        assert await queue.finished(job["id"]) == 5
        assert await queue.get_state(job["id"]) == "completed"

    async def test_unnamed_and_bulk_jobs_are_echoed(self, queue: NodeQueue) -> None:
        await queue.process({"do": "echo"}, name="*", concurrency=2)
        plain = await queue.add_unnamed({"n": 0})
        bulk = await queue.add_bulk(
            [{"name": "x", "data": {"n": 1}}, {"data": {"n": 2}, "opts": {"lifo": True}}]
        )
        assert [job["name"] for job in [plain, *bulk]] == ["__default__", "x", "__default__"]
        assert [await queue.finished(job["id"]) for job in [plain, *bulk]] == [{"n": 0}, {"n": 1}, {"n": 2}]

    async def test_failure_carries_its_message(self, queue: NodeQueue) -> None:
        await queue.process({"do": "fail", "message": "no such file"})
        job = await queue.add_unnamed({})
        with pytest.raises(NodeError, match="no such file"):
            await queue.finished(job["id"])
        assert (await queue.get_job(job["id"]) or {})["failedReason"] == "no such file"

    async def test_job_fails_twice_then_succeeds(self, queue: NodeQueue) -> None:
        await queue.process(
            [{"do": "failTimes", "times": 2, "message": "later"}, {"do": "return", "value": "ok"}]
        )
        job = await queue.add_unnamed({}, attempts=3)
        assert await queue.finished(job["id"]) == "ok"
        assert (await queue.event("processing", job_id=job["id"], count=3)).args[0]["attemptsMade"] == 2

    async def test_discarded_job_is_not_tried_again(self, queue: NodeQueue) -> None:
        await queue.process({"do": "discard", "message": "never again"})
        job = await queue.add_unnamed({}, attempts=5)
        with pytest.raises(NodeError, match="never again"):
            await queue.finished(job["id"])
        assert (await queue.get_job(job["id"]) or {})["attemptsMade"] == 1

    async def test_named_backoff_is_a_table_of_delays(self, open_node: OpenNode) -> None:
        queue = await open_node(settings={"backoffStrategies": {"steps": [1, 60_000]}})
        await queue.on("failed")
        await queue.process({"do": "fail", "message": "again"})
        job = await queue.add_unnamed({}, attempts=9, backoff={"type": "steps"})
        await queue.event("failed", job_id=job["id"], count=2)
        assert await queue.get_state(job["id"]) == "delayed"

    async def test_job_waits_to_be_released(self, queue: NodeQueue) -> None:
        await queue.process({"do": "wait"}, concurrency=2)
        good, bad = [(await queue.add_unnamed({}))["id"] for _ in range(2)]
        await queue.event("processing", job_id=good)
        await queue.event("processing", job_id=bad)
        assert await queue.get_state(good) == "active"
        await queue.release(good, {"done": True})
        await queue.release(bad, error="told to fail")
        assert await queue.finished(good) == {"done": True}
        with pytest.raises(NodeError, match="told to fail"):
            await queue.finished(bad)

    async def test_progress_logs_and_data_are_written_by_the_processor(self, queue: NodeQueue) -> None:
        await queue.on("global:progress")
        await queue.process(
            [
                {"do": "progress", "values": [10, {"done": 2}]},
                {"do": "log", "rows": ["one", "two"]},
                {"do": "update", "data": {"n": 2}},
            ]
        )
        job = await queue.add_unnamed({"n": 1})
        assert await queue.finished(job["id"]) is None
        assert (await queue.event("global:progress", count=2)).args == [job["id"], {"done": 2}]
        assert await queue.get_job_logs(job["id"]) == {"logs": ["one", "two"], "count": 2}
        assert (await queue.get_job(job["id"]) or {})["data"] == {"n": 2}

    async def test_job_can_carry_its_own_behaviour(self, queue: NodeQueue) -> None:
        await queue.process({"do": "asTold"})
        job = await queue.add_unnamed({"behaviour": {"do": "return", "value": 7}})
        assert await queue.finished(job["id"]) == 7


@needs_node
@one_loop
class TestControl:
    async def test_paused_queue_keeps_its_jobs_until_resumed(self, queue: NodeQueue) -> None:
        await queue.pause()
        assert await queue.is_paused()
        job = await queue.add_unnamed({})
        assert (await queue.get_job_counts())["paused"] == 1
        await queue.process({"do": "echo"})
        await queue.resume()
        assert await queue.finished(job["id"]) == {}

    async def test_failed_jobs_are_retried_one_by_one_or_all(self, queue: NodeQueue) -> None:
        await queue.process({"do": "fail", "message": "no"})
        await queue.on("failed")
        job = await queue.add_unnamed({})
        await queue.event("failed", count=1)
        await queue.retry(job["id"])
        await queue.event("failed", count=2)
        await queue.retry_jobs()
        await queue.event("failed", count=3)
        assert (await queue.get_job(job["id"]) or {})["retriedOn"] > 0

    async def test_delayed_job_is_promoted_then_removed(self, queue: NodeQueue) -> None:
        job = await queue.add_unnamed({}, delay=60_000)
        assert [j["id"] for j in await queue.get_jobs(["delayed"])] == [job["id"]]
        await queue.promote(job["id"])
        assert await queue.get_state(job["id"]) == "waiting"
        await queue.remove(job["id"])
        assert await queue.get_job(job["id"]) is None

    async def test_job_is_changed_from_outside(self, queue: NodeQueue) -> None:
        job = await queue.add_unnamed({"n": 1}, priority=3)
        await queue.update(job["id"], {"n": 2})
        await queue.progress(job["id"], 50)
        await queue.log(job["id"], "seen")
        changed = await queue.get_job(job["id"]) or {}
        assert (changed["data"], changed["progress"]) == ({"n": 2}, 50)
        assert (await queue.get_job_logs(job["id"]))["count"] == 1
        assert await queue.get_counts_per_priority([3]) == {"3": 1}

    async def test_queue_is_cleaned_emptied_and_obliterated(self, queue: NodeQueue) -> None:
        first = await queue.add_unnamed({})
        await past(first["timestamp"])  # Bull keeps jobs of the same ms
        assert await queue.clean(0, "wait", 10) == [first["id"]]
        await queue.add_unnamed({}, jobId="a1")
        await queue.remove_jobs("a*")
        await queue.add_unnamed({})
        await queue.empty()
        assert (await queue.get_job_counts())["waiting"] == 0
        await queue.add_unnamed({})
        await queue.obliterate(force=True)
        assert (await queue.get_job_counts())["waiting"] == 0

    async def test_schedules_are_listed_and_removed(self, queue: NodeQueue) -> None:
        await queue.add("tick", {}, repeat={"cron": "0 3 * * *", "tz": "UTC"})
        await queue.add("tock", {}, repeat={"every": 60_000})
        listed = {schedule["name"]: schedule for schedule in await queue.get_repeatable_jobs()}
        assert listed["tick"]["cron"] == "0 3 * * *"
        await queue.remove_repeatable("tick", {"cron": "0 3 * * *", "tz": "UTC"})
        await queue.remove_repeatable_by_key(listed["tock"]["key"])
        assert await queue.get_repeatable_jobs() == []

    async def test_worker_is_listed_and_metrics_are_read(self, queue: NodeQueue) -> None:
        await queue.process({"do": "echo"})
        await queue.finished((await queue.add_unnamed({}))["id"])
        assert [worker["name"] for worker in await queue.get_workers()] == [queue.name]
        assert (await queue.get_metrics("completed"))["count"] == 0

    async def test_closed_queue_object_is_gone(self, queue: NodeQueue) -> None:
        await queue.close()
        await queue.event("closed")
        with pytest.raises(NodeError, match="no open queue"):
            await queue.get_job_counts()


@needs_node
@one_loop
class TestDriver:
    async def test_bulls_own_error_comes_back(self, queue: NodeQueue) -> None:
        await queue.process({"do": "echo"})
        job = await queue.add_unnamed({})
        await queue.finished(job["id"])
        with pytest.raises(NodeError, match="not in a delayed state"):
            await queue.promote(job["id"])

    async def test_unknown_method_and_job_are_named(self, queue: NodeQueue) -> None:
        with pytest.raises(NodeError, match="no method 'fly'"):
            await queue.call("fly")
        with pytest.raises(NodeError, match="no job '99'"):
            await queue.retry("99")

    async def test_missing_event_and_answer_time_out_with_what_was_seen(self, queue: NodeQueue) -> None:
        await queue.on("global:waiting")
        job = await queue.add_unnamed({})
        await queue.event("global:waiting", job_id=job["id"])
        with pytest.raises(TimeoutError, match="global:waiting"):
            await queue.event("global:completed", within_s=0.05)
        with pytest.raises(TimeoutError, match="did not answer finished"):
            await queue.finished(job["id"], within_s=0.05)

    async def test_killed_node_leaves_its_job_active(
        self, queue: NodeQueue, server_url: str, prefix: str
    ) -> None:
        async with NodeBull() as other:
            worker = await other.open(queue.name, server_url, prefix)
            await worker.process({"do": "never"})
            job = await queue.add_unnamed({})
            await worker.event("processing", job_id=job["id"])
            await other.kill()
        assert await queue.get_state(job["id"]) == "active"

    async def test_node_ends_though_a_job_never_does(
        self, queue: NodeQueue, server_url: str, prefix: str
    ) -> None:
        async with NodeBull() as other:
            worker = await other.open(queue.name, server_url, prefix)
            await worker.process({"do": "never"})
            job = await queue.add_unnamed({})
            await worker.event("processing", job_id=job["id"])
