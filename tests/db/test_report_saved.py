"""The saved report of a job: its status in every case, and whose it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.records import add_firm
from tests.support.report_jobs import NOW, ReportJob, files_in, reports

from toril.db.errors import DatabaseUnavailableError
from toril.db.models import Firm, Report, ReportStatus
from toril.db.session import Database
from toril.engine.stalled import STALLED_TEXT, StalledError
from toril.errors import QueueUnavailableError, TorilError, UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.report.making import Made, Making


async def firm_in(database: Database, **values: Any) -> Firm:
    async with database.session() as session:
        return await add_firm(session, **values)


async def reports_in(database: Database) -> list[Report]:
    async with database.reading() as session:
        return list((await session.scalars(select(Report))).all())


async def queued(database: Database, firm: Firm, **values: Any) -> Report:
    """A report that waits for its job, as an application saves it."""
    report = Report(**{"firm_id": firm.id, "type": "client-aging", "name": "Asked for", **values})
    async with database.session() as session:
        session.add(report)
    return report


def making(
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Any, Making], Awaitable[Made]],
    type: str = "client-aging",
) -> None:
    """Let reports of a type be made by ``make``."""
    from toril.queues.report import definition

    types = tuple(
        (name, model, make if name == type else of, text) for name, model, of, text in definition._TYPES
    )
    monkeypatch.setattr(definition, "_TYPES", types)


async def test_a_report_is_saved_with_what_it_says(database: Database, tmp_path: Path) -> None:
    firm = await firm_in(database)

    result = await reports(database, tmp_path).process(ReportJob("client-aging", id="77", firmId=firm.id))

    (report,) = await reports_in(database)
    assert (report.id, report.firm_id, report.type, report.job_id) == (
        result["reportId"],
        firm.id,
        "client-aging",
        "77",
    )
    assert (report.status, report.error) == (ReportStatus.READY, None)
    assert report.summary == result["summary"]
    assert report.file_id is not None
    assert (report.created_at, report.started_at, report.finished_at) == (NOW, NOW, NOW)


async def test_a_report_that_waits_for_its_job_becomes_it(database: Database, tmp_path: Path) -> None:
    firm = await firm_in(database)
    waiting = await queued(database, firm)

    job = ReportJob("client-aging", firmId=firm.id, reportId=waiting.id)
    result = await reports(database, tmp_path).process(job)

    (report,) = await reports_in(database)
    assert result["reportId"] == report.id == waiting.id
    assert (report.status, report.name) == (ReportStatus.READY, "Asked for")


async def test_a_report_runs_while_it_is_made(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Report] = []

    async def look(payload: Any, made: Making) -> Made:
        seen.extend(await reports_in(database))
        return Made(file=await made.write_json({}), stem="x", summary={})

    making(monkeypatch, look)
    firm = await firm_in(database)
    await reports(database, tmp_path).process(ReportJob("client-aging", firmId=firm.id))
    assert [(report.status, report.finished_at) for report in seen] == [(ReportStatus.RUNNING, None)]


@pytest.mark.parametrize(
    ("error", "attempts_made", "status"),
    [
        pytest.param(QueueUnavailableError("no server"), 0, ReportStatus.QUEUED, id="tried_again"),
        pytest.param(QueueUnavailableError("no server"), 1, ReportStatus.FAILED, id="last_attempt"),
        pytest.param(UnrecoverableError("no use"), 0, ReportStatus.FAILED, id="no_use"),
        pytest.param(RuntimeError(), 1, ReportStatus.FAILED, id="without_words"),
    ],
)
async def test_a_failure_is_saved_with_its_reason(
    error: Exception, attempts_made: int, status: ReportStatus,
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def fail(payload: Any, made: Making) -> Made:
        (made.folder / "half").write_text("half")
        raise error

    making(monkeypatch, fail)
    firm = await firm_in(database)
    job = ReportJob("client-aging", firmId=firm.id)
    job.attempts_made = attempts_made

    with pytest.raises(type(error)):
        await reports(database, tmp_path).process(job)

    (report,) = await reports_in(database)
    assert (report.status, report.error) == (status, str(error) or "RuntimeError")
    assert (report.finished_at is None) == (status is ReportStatus.QUEUED)
    assert files_in(tmp_path) == []
    monkeypatch.undo()
    await reports(database, tmp_path).process(job)
    (report,) = await reports_in(database)
    assert (report.status, report.error) == (ReportStatus.READY, None)


@pytest.mark.parametrize(
    ("word", "attempts_made", "status", "reason"),
    [
        ("timeout", 1, ReportStatus.FAILED, "the job took longer than its time-out"),
        ("timeout", 0, ReportStatus.QUEUED, "the job took longer than its time-out"),
        ("cancelled", 0, ReportStatus.FAILED, "cancelled"),
        ("shutdown", 1, ReportStatus.RUNNING, None),  # the next worker goes on
        ("lost", 1, ReportStatus.RUNNING, None),  # another worker has it
    ],
)
async def test_a_job_that_is_stopped_leaves_the_right_status(
    word: str, attempts_made: int, status: ReportStatus, reason: str | None,
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    began = asyncio.Event()

    async def hang(payload: Any, made: Making) -> Made:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    making(monkeypatch, hang)
    firm = await firm_in(database)
    job = ReportJob("client-aging", firmId=firm.id)
    job.attempts_made = attempts_made
    task = asyncio.create_task(reports(database, tmp_path).process(job))
    await began.wait()
    task.cancel(word)  # as the engine stops a job
    with pytest.raises(asyncio.CancelledError):
        await task

    (report,) = await reports_in(database)
    assert (report.status, report.error) == (status, reason)
    assert files_in(tmp_path) == []


async def test_a_report_of_another_firm_is_neither_read_nor_written(
    database: Database, tmp_path: Path
) -> None:
    firm, other = await firm_in(database), await firm_in(database)
    theirs = await queued(database, other, name="Secret")
    job = ReportJob("client-aging", firmId=firm.id, reportId=theirs.id)

    with pytest.raises(UnrecoverableError, match=f"report '{theirs.id}': not found or access denied"):
        await reports(database, tmp_path).process(job)

    (report,) = await reports_in(database)
    assert (report.status, report.job_id) == (ReportStatus.QUEUED, None)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "values",
    [
        {"type": "financial"},
        {"status": ReportStatus.READY, "job_id": "another"},
        {"status": ReportStatus.READY},
        {"job_id": "another"},
    ],
    ids=["of_another_type", "made_by_another_job", "made_without_a_job", "that_another_job_tries_again"],
)
async def test_a_job_does_not_take_over_a_report(
    values: Mapping[str, Any], database: Database, tmp_path: Path
) -> None:
    firm = await firm_in(database)
    theirs = await queued(database, firm, **values)
    job = ReportJob("client-aging", firmId=firm.id, reportId=theirs.id)
    with pytest.raises(UnrecoverableError, match="reportId: this report is of another type or job"):
        await reports(database, tmp_path).process(job)
    (report,) = await reports_in(database)
    assert report.status == theirs.status


async def test_a_run_that_was_overtaken_makes_no_second_file(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stood still while its lock expired wakes up after another has begun the job again."""
    began, go_on = asyncio.Event(), asyncio.Event()

    async def first_hangs(payload: Any, made: Making) -> Made:
        path = await made.write_json({})
        if not began.is_set():
            began.set()
            await go_on.wait()
        return Made(file=path, stem="aging", summary={})

    making(monkeypatch, first_hangs)
    firm = await firm_in(database)
    queue, job = reports(database, tmp_path), ReportJob("client-aging", firmId=firm.id)
    overtaken = asyncio.create_task(queue.process(job))
    await began.wait()
    result = await queue.process(job)
    go_on.set()
    with pytest.raises(TorilError, match="another run of this job has begun"):
        await overtaken

    assert files_in(tmp_path) == [result["fileName"]]
    (report,) = await reports_in(database)
    assert (report.status, report.error) == (ReportStatus.READY, None)


async def test_a_zone_that_is_none_is_said_to_whom_it_concerns(database: Database, tmp_path: Path) -> None:
    firm = await firm_in(database, time_zone="Riyadh/../Asia")
    with pytest.raises(UnrecoverableError, match=r"time zone 'Riyadh/\.\./Asia' is none"):
        await reports(database, tmp_path).process(ReportJob("client-aging", firmId=firm.id))


async def test_a_pdf_needs_the_pdf_queue(database: Database, tmp_path: Path) -> None:
    firm = await firm_in(database)
    job: RunningJob = ReportJob("client-aging", firmId=firm.id, format="pdf")
    with pytest.raises(UnrecoverableError, match="no way to the pdf queue"):
        await reports(database, tmp_path).process(job)
    assert await reports_in(database) == []


async def test_a_pdf_queue_that_is_away_lets_the_job_be_tried_again(
    database: Database, tmp_path: Path
) -> None:
    async def away(queue: str, data: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
        raise QueueUnavailableError("the server cannot be reached")

    firm = await firm_in(database)
    job = ReportJob("client-aging", firmId=firm.id, format="pdf")
    with pytest.raises(QueueUnavailableError):
        await reports(database, tmp_path, add_job=away).process(job)
    (report,) = await reports_in(database)
    assert (report.status, report.error) == (ReportStatus.QUEUED, "the server cannot be reached")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"currency": "riyal"}, "currency: String should match pattern", id="bad_field"),
        pytest.param({"until": "2026"}, "until: Extra inputs are not permitted", id="unknown_field"),
        pytest.param({"format": "pdf"}, "no way to the pdf queue", id="no_pdf_queue"),
    ],
)
async def test_a_report_fails_with_its_job_when_the_data_is_refused(
    changes: Mapping[str, Any], reason: str, database: Database, tmp_path: Path
) -> None:
    firm = await firm_in(database)
    waiting, bystander = await queued(database, firm), await queued(database, firm)
    job = ReportJob("client-aging", firmId=firm.id, reportId=waiting.id.upper(), **changes)

    with pytest.raises(UnrecoverableError, match=reason):
        await reports(database, tmp_path).process(job)

    found = {report.id: report for report in await reports_in(database)}
    assert found[bystander.id].status is ReportStatus.QUEUED
    failed = found[waiting.id]
    assert (failed.status, failed.job_id, failed.finished_at) == (ReportStatus.FAILED, "1", NOW)
    assert reason.split(":")[0] in (failed.error or "")
    # Whoever mends the data and retries the job gets the report.
    again = ReportJob("client-aging", firmId=firm.id, reportId=waiting.id)
    await reports(database, tmp_path).process(again)
    assert {report.status for report in await reports_in(database) if report.id == waiting.id} == {
        ReportStatus.READY
    }


async def test_refused_data_fails_no_report_but_its_own(database: Database, tmp_path: Path) -> None:
    firm, other = await firm_in(database), await firm_in(database)
    theirs = await queued(database, other)
    of_another_type = await queued(database, firm, type="financial")
    of_another_job = await queued(database, firm, status=ReportStatus.RUNNING, job_id="another")
    queue = reports(database, tmp_path)
    for report in (theirs, of_another_type, of_another_job):
        with pytest.raises(UnrecoverableError):
            await queue.process(ReportJob("client-aging", firmId=firm.id, reportId=report.id, no=1))
    assert {report.id: (report.status, report.error) for report in await reports_in(database)} == {
        theirs.id: (ReportStatus.QUEUED, None),
        of_another_type.id: (ReportStatus.QUEUED, None),
        of_another_job.id: (ReportStatus.RUNNING, None),
    }


@pytest.mark.parametrize(
    "data",
    [None, [], {"type": "client-aging"}, {"type": "client-aging", "data": {"firmId": 7}},
     {"type": None, "data": {"firmId": "5" * 24}},
     {"type": "client-aging", "data": {"firmId": "5" * 24, "reportId": []}},
     {"type": "client-aging", "data": {"firmId": "x\0", "reportId": "' OR 1"}}],
)  # fmt: skip
async def test_data_that_names_no_report_is_refused_all_the_same(
    data: Any, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = ReportJob("client-aging")
    job.data = data
    with pytest.raises(UnrecoverableError):
        await reports(database, tmp_path).process(job)
    assert caplog.records == []


async def test_the_report_of_a_job_that_stalled_too_often_fails(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = asyncio.Event()

    async def hang(payload: Any, made: Making) -> Made:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    making(monkeypatch, hang)
    firm = await firm_in(database)
    queue, job = reports(database, tmp_path), ReportJob("client-aging", firmId=firm.id)
    task = asyncio.create_task(queue.process(job))
    await began.wait()
    task.cancel("lost")
    with pytest.raises(asyncio.CancelledError):
        await task
    await queue.on_failed(job, QueueUnavailableError("a failed attempt"))  # told by the processor itself
    await queue.on_failed(None, StalledError(STALLED_TEXT))  # nobody knows whose it was
    (report,) = await reports_in(database)
    assert report.status is ReportStatus.RUNNING

    await queue.on_failed(job, StalledError(STALLED_TEXT))

    (report,) = await reports_in(database)
    assert (report.status, report.error) == (ReportStatus.FAILED, STALLED_TEXT)


async def test_a_name_that_no_database_keeps_is_refused_before_it_gets_there(
    database: Database, tmp_path: Path
) -> None:
    firm = await firm_in(database)
    for name in ("a\0b", "\ud800", "x" * 201):
        job = ReportJob("custom", firmId=firm.id, name=name, query={"source": "invoices"})
        with pytest.raises(UnrecoverableError, match="name: "):
            await reports(database, tmp_path).process(job)
    assert await reports_in(database) == []


async def test_a_database_that_is_lost_at_the_last_attempt_fails_the_report(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm = await firm_in(database)
    waiting = await queued(database, firm)

    async def lost(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailableError("the server closed the connection")

    monkeypatch.setattr("toril.queues.report.saved.Reports.take", lost)
    job = ReportJob("client-aging", firmId=firm.id, reportId=waiting.id)
    statuses = []
    for job.attempts_made in (0, 1):
        with pytest.raises(DatabaseUnavailableError):
            await reports(database, tmp_path).process(job)
        (report,) = await reports_in(database)
        statuses.append(report.status)
    assert statuses == [ReportStatus.QUEUED, ReportStatus.FAILED]
