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

from toril.db.models import Firm, Report, ReportStatus
from toril.db.session import Database
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
    [{"type": "financial"}, {"status": ReportStatus.READY, "job_id": "another"}],
    ids=["of_another_type", "made_by_another_job"],
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
