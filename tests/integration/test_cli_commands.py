"""The commands that look at queues and change them, as processes against a real server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import Toril
from tests.support.servers import RedisServer

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import UnrecoverableError


@pytest.fixture
def url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


@pytest.fixture
def toril(tmp_path: Path, url: str, prefix: str) -> Toril:
    return Toril(tmp_path, {"REDIS_URL": url, "TORIL_PREFIX": prefix})


@pytest.fixture
async def email(url: str, prefix: str) -> AsyncIterator[Queue]:
    async with Queue("email", url=url, prefix=prefix) as queue:
        yield queue


async def work(queue: Queue) -> None:
    """Run what waits: jobs named ``bad`` fail, others return their data."""

    async def process(job: Job[Any]) -> Any:
        await job.log("looked at it")
        if job.name == "bad":
            raise UnrecoverableError("it is \x1b[31mbad")
        return job.data

    drained = asyncio.Event()
    queue.on("drained", drained.set)
    async with Worker(queue, process, concurrency=5):
        await asyncio.wait_for(drained.wait(), 60)


async def test_queues_are_found_and_counted(toril: Toril, email: Queue, url: str, prefix: str) -> None:
    await email.add_bulk([("good", {}), ("bad", {}), ("good", {}, {"job_id": "order:id"})])
    await work(email)
    await email.add("good", {}, delay=3600)
    async with Queue("a:b", url=url, prefix=prefix) as other:
        await other.add("good", {})
        await other.pause()
        rows = (await toril("queues", "--json")).json
    assert [row["name"] for row in rows] == ["a:b", "email"]
    expected = {"waiting": 0, "active": 0, "completed": 2, "failed": 1, "delayed": 1, "paused": 0}
    assert rows[1] == {"name": "email", **expected, "isPaused": False, "workers": 0}
    assert (rows[0]["paused"], rows[0]["isPaused"]) == (1, True)

    table = (await toril("queues")).out.splitlines()
    assert table[0].split() == [
        "queue", "waiting", "active", "delayed", "completed", "failed", "workers", "paused",
    ]  # fmt: skip
    assert table[1].split() == ["a:b", "1", "0", "0", "0", "0", "0", "yes"]
    assert table[2].split() == ["email", "0", "0", "1", "2", "1", "0"]


async def test_a_queue_that_only_has_a_worker_is_found(toril: Toril, email: Queue) -> None:
    async with Worker(email, lambda job: None):
        assert [(row["name"], row["workers"]) for row in (await toril("queues", "--json")).json] == [
            ("email", 1)
        ]


async def test_no_queues_is_an_answer(toril: Toril, prefix: str) -> None:
    ended = await toril("queues")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"There is no queue under the prefix {prefix!r}")


async def test_jobs_are_added_with_data_and_options(toril: Toril, email: Queue, tmp_path: Path) -> None:
    assert (await toril("jobs", "add", "email", "--as-is", "--data", '{"to": "a"}')).out == "1\n"
    (tmp_path / "mail.json").write_text('{"to": "b"}')
    bull = '{"attempts": 5, "backoff": {"type": "exponential", "delay": 2000}, "removeOnComplete": true}'
    added = await toril(
        "jobs", "add", "email", "letter", "--as-is", "--data", "@mail.json", "--options", bull,
        "--delay", "60", "--priority", "2", "--job-id", "mine", "--json",
    )  # fmt: skip
    assert (added.json["id"], added.json["queue"], added.json["data"]) == ("mine", "email", {"to": "b"})
    piped = await toril("jobs", "add", "email", "--as-is", "--data", "-", stdin='["c"]')

    first, second, third = [await email.get_job(job_id) for job_id in ("1", "mine", piped.out.strip())]
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.name, first.data) == ("__default__", {"to": "a"})
    wanted = {"attempts": 5, "delay": 60_000, "priority": 2, "removeOnComplete": True}
    assert wanted.items() <= second.opts.items()
    assert second.opts["backoff"] == {"type": "exponential", "delay": 2000}
    assert third.data == ["c"]


async def test_jobs_are_listed_by_state(toril: Toril, email: Queue) -> None:
    await email.add_bulk([("bad", {"n": 1}), ("bad", {"n": 2}), ("good", {"n": 3})])
    await work(email)
    failed = (await toril("jobs", "list", "email", "--state", "failed", "--json")).json
    assert {(job["name"], job["state"], job["attemptsMade"]) for job in failed} == {("bad", "failed", 1)}
    one = (
        await toril("jobs", "list", "email", "--state", "failed", "--start", "1", "--end", "1", "--json")
    ).json
    assert one == failed[1:2]

    table = (await toril("jobs", "list", "email")).out
    # What a job brought cannot drive the terminal.
    assert "it is \\u001b[31mbad" in table
    assert "\x1b" not in table
    assert [line.split()[:3] for line in table.splitlines()[1:2]] == [["3", "good", "completed"]]


async def test_a_job_is_shown_with_its_log(toril: Toril, email: Queue) -> None:
    job = await email.add("bad", {"to": "a"})
    await work(email)
    shown = (await toril("jobs", "show", "email", job.id, "--json")).json
    assert (shown["state"], shown["failedReason"]) == ("failed", "it is \x1b[31mbad")
    assert shown["logs"] == ["looked at it"]
    text = (await toril("jobs", "show", "email", job.id)).out
    assert "failed reason  it is \\u001b[31mbad" in text
    assert "log            looked at it" in text


async def test_failed_jobs_are_retried_by_id_and_all(toril: Toril, email: Queue) -> None:
    jobs = await email.add_bulk([("bad", {})] * 3)
    await work(email)
    ended = await toril("jobs", "retry", "email", jobs[0].id, "77", "--json")
    assert ended.json["retried"] == [jobs[0].id]
    assert [(error["id"], error["code"]) for error in ended.json["errors"]] == [("77", "job_not_found")]
    assert (ended.code, ended.error["code"]) == (4, "job_not_found")
    again = await toril("jobs", "retry", "email", jobs[0].id)
    assert (again.code, again.out) == (1, "")
    assert again.err.startswith("error: 1 of 1 job not retried: Couldn't retry job")
    assert (await toril("jobs", "retry", "email", "--all-failed")).out == "2 jobs moved back to waiting.\n"
    assert (await email.counts("waiting", "failed")) == {"waiting": 3, "failed": 0}
    assert (await toril("jobs", "retry", "email")).code == 2


async def test_jobs_are_removed_only_when_that_is_meant(toril: Toril, email: Queue) -> None:
    jobs = await email.add_bulk([("good", {})] * 2)
    ids = [job.id for job in jobs]
    asked = await toril("jobs", "remove", "email", *ids)
    assert asked.code == 2
    assert (
        f"this would delete 2 jobs of queue 'email' on {email.server}: 1, 2; add --yes to go on" in asked.err
    )
    assert (await email.counts("waiting"))["waiting"] == 2
    assert (await toril("jobs", "remove", "email", *ids, "--yes")).out == "2 jobs removed.\n"
    gone = await toril("jobs", "remove", "email", ids[0], "--yes", "--json")
    assert (gone.code, gone.json["removed"], gone.error["code"]) == (4, [], "job_not_found")


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 1), ("y", 0, 0)])
async def test_at_a_terminal_it_asks(toril: Toril, email: Queue, answer: str, code: int, left: int) -> None:
    await email.add("good", {})
    async with toril.running("jobs", "remove", "email", "1", terminal=True) as removing:
        assert await removing.line("This will delete 1 job of queue 'email'")
        removing.type(f"{answer}\n")
        assert await removing.end() == code
    assert (await email.counts("waiting"))["waiting"] == left


async def test_a_job_that_a_worker_holds_is_not_removed(toril: Toril, email: Queue) -> None:
    job = await email.add("good", {})
    await email.connection.execute("SET", email.keys.lock(job.id), "somebody")
    held = await toril("jobs", "remove", "email", job.id, "--yes", "--json")
    assert (held.code, held.error["code"]) == (1, "job_locked")


async def test_a_queue_is_paused_and_resumed(toril: Toril, email: Queue) -> None:
    await email.add("good", {})
    assert (await toril("pause", "email")).out == "Queue 'email' is paused; 1 job waiting.\n"
    assert await email.is_paused()
    resumed = (await toril("resume", "email", "--json")).json
    assert resumed == {"queue": "email", "paused": False, "waiting": 1}
    assert not await email.is_paused()


async def test_clean_says_what_it_touches_and_deletes_it(toril: Toril, email: Queue) -> None:
    await email.add_bulk([("good", {})] * 3)
    await work(email)
    asked = await toril("clean", "email", "--grace", "0")
    assert asked.code == 2
    assert "this would delete the completed jobs of queue 'email'" in asked.err
    assert "older than 0 s; it has 3 completed" in asked.err
    assert (await toril("clean", "email", "--grace", "3600", "--yes")).out == "0 jobs deleted.\n"
    cleaned = (await toril("clean", "email", "--grace", "0", "--limit", "2", "--yes", "--json")).json
    assert (cleaned["state"], len(cleaned["removed"])) == ("completed", 2)
    assert (await email.counts("completed"))["completed"] == 1


async def test_an_unknown_queue_is_4_and_names_the_one_that_was_meant(toril: Toril, email: Queue) -> None:
    await email.add("good", {})
    for command in (["jobs", "list"], ["pause"], ["clean", "--grace", "0"]):
        ended = await toril(*command, "emial")
        assert (ended.code, ended.out) == (4, "")
        assert "there is no queue 'emial'" in ended.err
        assert ended.err.endswith("did you mean 'email'?\n")


async def test_an_unknown_job_is_4(toril: Toril, email: Queue) -> None:
    await email.add("good", {})
    ended = await toril("--json", "jobs", "show", "email", "99")
    assert (ended.code, ended.out, ended.error["code"]) == (4, "", "job_not_found")


async def test_a_server_that_is_away_is_3(toril: Toril) -> None:
    ended = await toril("--json", "queues", "--url", "redis://user:secret@127.0.0.1:1/0")
    assert (ended.code, ended.out, ended.error["code"]) == (3, "", "queue_unavailable")
    assert ended.error["message"].startswith("cannot connect to redis://127.0.0.1:1/0")
    assert "secret" not in ended.err


async def test_a_wrong_password_is_3_and_says_so(toril: Toril) -> None:
    with RedisServer(args=["--requirepass", "right"]) as server:
        none = await toril("queues", REDIS_URL=server.url)
        assert none.code == 3
        assert "it wants a password: set REDIS_PASSWORD" in none.err
        wrong = await toril("queues", REDIS_URL=server.url, REDIS_PASSWORD="wrong")
        assert wrong.code == 3
        assert "check REDIS_PASSWORD" in wrong.err
        assert (await toril("queues", REDIS_URL=server.url, REDIS_PASSWORD="right")).code == 0


async def test_output_that_nobody_reads_to_the_end_is_no_fault(toril: Toril, email: Queue) -> None:
    await email.add_bulk([("good", {"text": "x" * 1000})] * 200)
    reader, writer = os.pipe()
    os.close(reader)
    ended = await toril("jobs", "list", "email", "--end", "-1", stdout=writer)
    os.close(writer)
    assert (ended.code, ended.err) == (1, "")
