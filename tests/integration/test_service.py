"""QueueService: jobs in, what is told of them, and the control of queues."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.all_queues import all_queues
from tests.support.email_jobs import bulk, transactional
from tests.support.notification_jobs import notification
from tests.support.pdf_jobs import custom_job, invoice_job
from tests.support.steps import LOCK_MS, complete, fail, run_all, take

from toril import Keep, Repeat
from toril.db.session import Database
from toril.engine.options import JobOptions
from toril.errors import (
    JobLockedError,
    JobNotFoundError,
    JobStateError,
    OptionError,
    PayloadError,
    QueueUnavailableError,
)
from toril.queues.base import QueueDefinition
from toril.service import QueueService

MAIL = transactional()
FIRM, ACCOUNT = "5" * 24, "6" * 24


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, QueueDefinition]:
    """Over records without tables, as nothing is worked here."""
    folder = tmp_path_factory.mktemp("queues")
    return all_queues(Database(home=folder), folder)


@pytest.fixture
async def service(
    definitions: Mapping[str, QueueDefinition], server_url: str, prefix: str
) -> AsyncIterator[QueueService]:
    async with QueueService(definitions.values(), url=server_url, prefix=prefix) as opened:
        yield opened


async def test_a_job_is_added_with_an_id_of_its_own(service: QueueService) -> None:
    added = await service.add_job("email", MAIL, {"priority": 2})
    assert re.fullmatch(r"email-\d{13}-[0-9a-z]{9}", added["jobId"])
    assert (added["queueName"], added["data"]) == ("email", MAIL)
    assert added["options"]["priority"] == 2
    status = await service.get_job_status("email", added["jobId"])
    assert status is not None
    assert list(status) == [
        "jobId", "queueName", "state", "progress", "data", "options", "timestamp", "processedOn", "finishedOn",
        "failedReason", "returnValue", "attemptsMade", "stacktrace",
    ]  # fmt: skip
    assert (status["state"], status["data"], status["attemptsMade"]) == ("waiting", MAIL, 0)
    assert status["options"] == added["options"]
    assert await service.get_job_status("email", "nobody") is None


@pytest.mark.parametrize(
    ("options", "given"),
    [
        pytest.param({"delay": 30_000, "removeOnComplete": {"age": 60}, "jobId": "mine"}, {}, id="bull"),
        pytest.param(None, {"delay": 30, "remove_on_complete": Keep(age=60), "job_id": "mine"}, id="python"),
        pytest.param(
            JobOptions(delay=timedelta(seconds=30), remove_on_complete=Keep(age=60), job_id="mine"),
            {},
            id="JobOptions",
        ),
    ],
)
async def test_options_come_in_three_forms(service: QueueService, options: Any, given: Any) -> None:
    added = await service.add_job("email", MAIL, options, **given)
    assert added["jobId"] == "mine"
    assert added["options"]["delay"] == 30_000
    assert added["options"]["removeOnComplete"] == {"age": 60}
    assert added["options"]["attempts"] == 3


async def test_bad_options_are_refused(service: QueueService) -> None:
    with pytest.raises(OptionError, match="'job_id', did you mean 'jobId'"):
        await service.add_job("email", MAIL, {"job_id": "mine"})
    with pytest.raises(OptionError, match="'jobid', did you mean 'job_id'"):
        await service.send_email(MAIL["data"], jobid="mine")  # type: ignore[call-arg]
    with pytest.raises(OptionError, match="given twice: as an object, and as delay"):
        await service.add_job("email", MAIL, {"priority": 1}, delay=3)
    assert (await service.get_job_counts("email"))["waiting"] == 0


async def test_a_schedule_is_the_same_when_it_is_added_again(service: QueueService) -> None:
    nightly = Repeat(cron="0 2 * * *")
    first, second = [await service.schedule_cleanup("sessions", repeat=nightly) for _ in range(2)]
    assert first["jobId"] == second["jobId"]
    assert len(await service.queue("cleanup").schedules()) == 1
    await service.schedule_cleanup("tokens", {}, {"repeat": {"cron": "0 2 * * *"}})
    assert {each.id for each in await service.queue("cleanup").schedules()} == {"sessions", "tokens"}


async def test_schedules_of_two_firms_do_not_replace_each_other(service: QueueService) -> None:
    for firm_id in (FIRM, ACCOUNT, FIRM):
        account = {"firmId": firm_id, "bankAccountId": ACCOUNT}
        await service.schedule_sync("bank-transactions", account, repeat=Repeat(every=3600))
    delayed = await service.get_jobs("sync", "delayed")
    assert {job["data"]["data"]["firmId"] for job in delayed} == {FIRM, ACCOUNT}
    assert len(delayed) == 2


CONVENIENT = [
    pytest.param("send_email", (MAIL["data"],), ("email", MAIL), id="send_email"),
    pytest.param(
        "send_bulk_emails",
        tuple(bulk()["data"][name] for name in ("recipients", "subject", "html")),
        ("email", bulk()),
        id="send_bulk_emails",
    ),
    pytest.param("generate_pdf", (invoice_job()["data"],), ("pdf", invoice_job()), id="generate_pdf"),
    pytest.param(
        "generate_pdf",
        (custom_job("<p>")["data"], "custom"),
        ("pdf", custom_job("<p>")),
        id="generate_pdf-type",
    ),
    pytest.param(
        "send_notification",
        (notification("in-app")["data"],),
        ("notification", notification("in-app")),
        id="send_notification",
    ),
    pytest.param(
        "send_notification",
        (notification("sms")["data"], "sms"),
        (
            "notification",
            {"type": "sms", "data": {**notification("sms")["data"], "message": "رمز الدخول [redacted]"}},
        ),
        id="send_notification-type",
    ),
    pytest.param(
        "schedule_cleanup", ("tokens",), ("cleanup", {"type": "tokens", "data": {}}), id="schedule_cleanup"
    ),
    pytest.param(
        "schedule_cleanup",
        ("old-logs", {"retentionDays": 3}),
        ("cleanup", {"type": "old-logs", "data": {"retentionDays": 3}}),
        id="schedule_cleanup-data",
    ),
    pytest.param(
        "schedule_sync",
        ("bank-transactions", {"firmId": FIRM, "bankAccountId": ACCOUNT}),
        ("sync", {"type": "bank-transactions", "data": {"firmId": FIRM, "bankAccountId": ACCOUNT}}),
        id="schedule_sync",
    ),
]


@pytest.mark.parametrize(("method", "arguments", "expected"), CONVENIENT)
async def test_each_convenience_adds_its_job(
    service: QueueService, method: str, arguments: Any, expected: tuple[str, Any]
) -> None:
    queue_name, data = expected
    call = getattr(service, method)
    for options, given in (({"attempts": 7, "delay": 60_000}, {}), (None, {"attempts": 7, "delay": 60})):
        added = await call(*arguments, options=options, **given)
        assert (added["queueName"], added["data"]) == (queue_name, data)
        assert (added["options"]["attempts"], added["options"]["delay"]) == (7, 60_000)
        assert re.fullmatch(rf"{queue_name}-\d{{13}}-[0-9a-z]{{9}}", added["jobId"])


@pytest.mark.parametrize(("method", "arguments", "expected"), CONVENIENT)
async def test_each_convenience_refuses_what_is_no_object(
    service: QueueService, method: str, arguments: Any, expected: tuple[str, Any]
) -> None:
    bad: list[Any] = [7 if isinstance(each, (dict, list)) else each for each in arguments]
    if bad == list(arguments):
        bad = [*arguments, 7]
    with pytest.raises(PayloadError, match="should be a valid"):
        await getattr(service, method)(*bad)


async def test_many_jobs_are_all_checked_before_the_first_is_added(service: QueueService) -> None:
    good = {"data": MAIL, "options": {"priority": 1}}
    added = await service.add_bulk_jobs("email", [good, {"data": MAIL}])
    assert [each["options"].get("priority") for each in added] == [1, None]
    assert len({each["jobId"] for each in added}) == 2
    with pytest.raises(PayloadError, match=r"jobs\[1\]: .*subject: Field required") as caught:
        await service.add_bulk_jobs("email", [good, {"data": transactional() | {"data": {"to": "a@b.c"}}}])
    assert caught.value.field == "jobs.1.subject"
    for bad in ({"opts": {}}, {"data": MAIL, "opts": {}}, 7):
        with pytest.raises(OptionError, match=r"jobs\[0\] must be an object with data"):
            await service.add_bulk_jobs("email", [bad])  # type: ignore[list-item]
    assert (await service.get_job_counts("email"))["waiting"] == 2


async def test_jobs_are_listed_by_state(service: QueueService) -> None:
    queue = service.queue("email")
    for number in range(5):
        await service.add_job("email", MAIL, job_id=f"j{number}")
    for name, delay in (("later", 60), ("soon", 30)):
        await service.add_job("email", MAIL, job_id=name, delay=delay)
    assert await take(queue, 3) == ["j0", "j1", "j2"]
    await complete(queue, "j0", {"success": True})
    await fail(queue, "j1", "no luck")

    async def listed(status: str, *places: int) -> list[str]:
        jobs = await service.get_jobs("email", status, *places)
        assert {job["state"] for job in jobs} <= {status}
        return [job["jobId"] for job in jobs]

    assert await listed("waiting") == ["j3", "j4"]
    assert await listed("waiting", 1, 1) == ["j4"]
    assert await listed("active") == ["j2"]
    assert await listed("completed") == ["j0"]
    assert await listed("failed") == ["j1"]
    assert await listed("delayed") == ["soon", "later"]
    assert await listed("paused") == []
    assert [job["failedReason"] for job in await service.get_jobs("email", "failed")] == ["no luck"]
    assert await service.get_jobs("email", "completed") == [await service.get_job_status("email", "j0")]
    await service.pause_queue("email")
    assert (await listed("paused"), await listed("waiting")) == (["j3", "j4"], [])
    await service.resume_queue("email")
    await run_all(queue)
    assert (await listed("completed"))[-1] == "j0"
    assert await listed("completed", 2, 5) == ["j0"]
    assert await listed("completed", -1, -1) == ["j0"]
    assert set(await listed("completed", 0, 1)) == {"j3", "j4"}


async def test_a_page_reads_its_own_jobs_only(service: QueueService, redis: redis_asyncio.Redis) -> None:
    queue = service.queue("email")
    for number in range(30):
        await service.add_job("email", MAIL, job_id=f"n{number:02}")
    await run_all(queue)
    script = "for i = 1, 50000 do redis.call('ZADD', KEYS[1], i, 'old-' .. i) end"
    await redis.eval(script, 1, queue.keys.of("completed"))

    async def calls(command: str) -> int:
        stats: dict[str, Any] = await redis.info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))

    hashes, ranges = await calls("hgetall"), await calls("zrevrange")
    page = await service.get_jobs("email", "completed", 5, 14)
    assert [job["jobId"] for job in page] == [f"n{number:02}" for number in range(24, 14, -1)]
    assert (await calls("hgetall") - hashes, await calls("zrevrange") - ranges) == (10, 1)


async def test_a_page_of_no_state_or_place_is_refused(service: QueueService) -> None:
    with pytest.raises(OptionError, match="no job state 'finished'; the states are waiting, active"):
        await service.get_jobs("email", "finished")
    with pytest.raises(OptionError, match="end must be a whole number, got '20'"):
        await service.get_jobs("email", "waiting", 0, "20")  # type: ignore[arg-type]


async def test_stats_count_every_state_of_every_queue(service: QueueService) -> None:
    await service.add_job("email", MAIL)
    await service.add_job("email", MAIL, delay=60)
    none = dict.fromkeys(("waiting", "active", "completed", "failed", "delayed", "paused"), 0)
    assert await service.get_job_counts("email") == none | {"waiting": 1, "delayed": 1}
    assert await service.get_queue_stats("email") == {"name": "email", **none, "waiting": 1, "delayed": 1}
    stats = await service.get_all_queues_stats()
    assert [each["name"] for each in stats] == list(service.definitions)
    assert len(stats) == 6
    assert [each for each in stats if each["name"] == "pdf"] == [{"name": "pdf", **none}]


async def test_only_failed_jobs_are_retried(service: QueueService) -> None:
    queue = service.queue("email")
    added = await service.add_job("email", MAIL, job_id="one")
    with pytest.raises(JobStateError, match="has not failed"):
        await service.retry_job("email", "one")
    await take(queue)
    with pytest.raises(JobLockedError):
        await service.retry_job("email", "one")
    await fail(queue, "one")
    assert await service.retry_job("email", "one") == {"success": True, "jobId": "one", "queueName": "email"}
    assert [job["jobId"] for job in await service.get_jobs("email")] == [added["jobId"]]
    await run_all(queue)
    with pytest.raises(JobStateError):
        await service.retry_job("email", "one")
    with pytest.raises(JobNotFoundError, match="queue 'email' has no job 'two'"):
        await service.retry_job("email", "two")


async def test_a_job_that_a_worker_holds_is_not_removed(service: QueueService) -> None:
    queue = service.queue("email")
    await service.add_job("email", MAIL, job_id="one")
    await take(queue, lock_ms=LOCK_MS)
    with pytest.raises(JobLockedError, match="a worker holds it"):
        await service.remove_job("email", "one")
    await complete(queue, "one")
    assert await service.remove_job("email", "one") == {"success": True, "jobId": "one", "queueName": "email"}
    assert await service.get_job_status("email", "one") is None
    with pytest.raises(JobNotFoundError):
        await service.remove_job("email", "one")


async def test_old_jobs_are_cleaned(service: QueueService, redis: redis_asyncio.Redis) -> None:
    queue = service.queue("email")
    for name in ("old", "new", "bad"):
        await service.add_job("email", MAIL, job_id=name)
    await take(queue, 3)
    await fail(queue, "bad")
    await complete(queue, "old")
    await complete(queue, "new")
    await redis.zincrby(queue.keys.of("completed"), -3_600_000, "old")
    assert await service.clean_jobs("email", 86_400) == []
    assert await service.clean_jobs("email", 1800) == ["old"]
    assert await service.clean_jobs("email", timedelta(0), "failed") == ["bad"]
    assert (await service.get_job_counts("email"))["completed"] == 1
    with pytest.raises(OptionError, match="unknown queue type everything"):
        await service.clean_jobs("email", 0, "everything")


async def test_a_queue_is_emptied(service: QueueService) -> None:
    await service.add_job("email", MAIL, job_id="runs")
    await take(service.queue("email"))
    await service.add_bulk_jobs("email", [{"data": MAIL}, {"data": MAIL, "options": {"delay": 60_000}}])
    await service.empty_queue("email")
    counts = await service.get_job_counts("email")
    assert {state: number for state, number in counts.items() if number} == {"active": 1}


CALLS: list[Any] = [
    ("add_job", MAIL), ("add_bulk_jobs", [{"data": MAIL}]), ("get_job_status", "1"), ("get_jobs",), ("get_job_counts",),
    ("get_queue_stats",), ("retry_job", "1"), ("remove_job", "1"), ("pause_queue",), ("resume_queue",), ("clean_jobs",),
    ("empty_queue",),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
async def test_a_queue_that_is_not_there_is_refused(service: QueueService, call: Any) -> None:
    with pytest.raises(OptionError, match=r"there is no queue 'emial'; did you mean 'email'\?"):
        await getattr(service, call[0])("emial", *call[1:])
    with pytest.raises(OptionError, match="there are cleanup, email, notification, pdf, report, sync"):
        await getattr(service, call[0])("xyz", *call[1:])


async def test_a_convenience_whose_queue_is_not_there_is_refused() -> None:
    async with QueueService([], url="unix:///nowhere.sock") as nothing:
        with pytest.raises(OptionError, match="no queue 'sync'"):
            await nothing.schedule_sync("currency-rates")
        with pytest.raises(OptionError, match="no queue 'report'"):
            await nothing.generate_report({}, "client-aging")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
async def test_a_server_that_is_away_is_told(
    definitions: Mapping[str, QueueDefinition], tmp_path: Path, call: Any
) -> None:
    url = f"unix://{tmp_path}/nobody.sock"
    async with QueueService([definitions["email"]], url=url, patience=0.1) as away:
        with pytest.raises(QueueUnavailableError, match=r"nobody\.sock"):
            await getattr(away, call[0])("email", *call[1:])
        with pytest.raises(QueueUnavailableError):
            await away.get_all_queues_stats()


async def test_what_is_open_is_closed_even_when_something_cannot_be(server_url: str) -> None:
    closed: list[str] = []

    def closing(name: str, error: Exception | None = None) -> QueueDefinition:
        async def close() -> None:
            closed.append(name)
            if error is not None:
                raise error

        return QueueDefinition(name=name, types={}, on_close=close)

    broken = RuntimeError("cannot be closed")
    service = QueueService([closing("one"), closing("two", broken), closing("three")], url=server_url)
    await service.get_all_queues_stats()
    with pytest.raises(RuntimeError, match="cannot be closed"):
        await service.close()
    assert sorted(closed) == ["one", "three", "two"]
    for queue in service.queues.values():
        with pytest.raises(QueueUnavailableError):
            await queue.add({})
