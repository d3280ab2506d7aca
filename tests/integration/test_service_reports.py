"""QueueService.generate_report: the report is in the list before its job runs, and never without one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.all_queues import all_queues
from tests.support.records import add_firm, add_user
from tests.support.until import until

from toril import Debounce, Repeat
from toril.db.errors import RecordNotFoundError
from toril.db.models import Report, ReportStatus
from toril.db.session import Database
from toril.errors import ConfigurationError, PayloadError, QueueUnavailableError
from toril.queues.registry import make_worker
from toril.service import QueueService

MARCH = {"startDate": "2026-03-01", "endDate": "2026-03-31"}


@pytest.fixture
async def firm_id(database: Database) -> str:
    async with database.session() as session:
        return (await add_firm(session)).id


@pytest.fixture
async def service(
    database: Database, tmp_path: Path, server_url: str, prefix: str
) -> AsyncIterator[QueueService]:
    definitions = all_queues(database, tmp_path).values()
    async with QueueService(definitions, database=database, url=server_url, prefix=prefix) as opened:
        yield opened


async def reports(database: Database) -> list[Report]:
    async with database.reading() as session:
        return list(await session.scalars(select(Report).order_by(Report.created_at)))


async def worked(service: QueueService, job_id: str) -> dict[str, Any]:
    """How a job is once a worker had it."""

    async def ended() -> bool:
        status = await service.get_job_status("report", job_id)
        return status is not None and status["state"] in ("completed", "failed")

    async with make_worker(service.definitions["report"], service.queue("report")):
        await until(ended, within_s=60)
    return await service.get_job_status("report", job_id) or {}


async def test_a_report_is_queued_then_ready(service: QueueService, database: Database, firm_id: str) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        user = await add_user(session, firm)
    data = {"firmId": firm.id, **MARCH}
    added = await service.generate_report(data, "financial", requested_by=user.id, priority=3)
    [report] = await reports(database)
    assert added["reportId"] == report.id == added["data"]["data"]["reportId"]
    assert (report.status, report.job_id, report.firm_id) == (ReportStatus.QUEUED, added["jobId"], firm.id)
    assert (report.type, report.name) == ("financial", "financial 2026-03-01 2026-03-31")
    assert (report.parameters, report.requested_by) == (MARCH, user.id)
    assert added["options"]["priority"] == 3
    assert "reportId" not in data
    status = await worked(service, added["jobId"])
    assert status["returnValue"]["reportId"] == report.id
    [report] = await reports(database)
    assert (report.status, report.requested_by) == (ReportStatus.READY, user.id)


async def test_a_report_is_called_by_what_it_is_about(
    service: QueueService, database: Database, firm_id: str
) -> None:
    of_firm = {"firmId": firm_id}
    query = {"source": "invoices", "columns": ["number"]}
    await service.generate_report(of_firm | {"name": "Big ones", "query": query}, "custom")
    await service.generate_report(of_firm | {"exportType": "time-entries", "format": "csv"}, "data-export")
    await service.generate_report(of_firm, "client-aging")
    assert {each.name for each in await reports(database)} == {
        "Big ones",
        "data-export time-entries",
        "client-aging",
    }


async def test_nothing_is_saved_for_a_payload_that_is_refused(
    service: QueueService, database: Database, firm_id: str
) -> None:
    with pytest.raises(PayloadError) as caught:
        await service.generate_report({"firmId": firm_id, "startDate": "2026-03-01"}, "financial")
    assert caught.value.field == "endDate"
    assert await reports(database) == []


async def test_a_firm_or_user_of_others_is_not_found(
    service: QueueService, database: Database, firm_id: str
) -> None:
    async with database.session() as session:
        stranger = await add_user(session, await add_firm(session))
    with pytest.raises(RecordNotFoundError, match="firm"):
        await service.generate_report({"firmId": "5" * 24}, "client-aging")
    with pytest.raises(RecordNotFoundError, match="user"):
        await service.generate_report({"firmId": firm_id}, "client-aging", requested_by=stranger.id)
    assert await reports(database) == []
    assert (await service.get_job_counts("report"))["waiting"] == 0


async def test_a_report_whose_job_cannot_be_added_says_so(
    database: Database, firm_id: str, tmp_path: Path, prefix: str
) -> None:
    url = f"unix://{tmp_path}/nobody.sock"
    definitions = all_queues(database, tmp_path).values()
    async with QueueService(definitions, database=database, url=url, prefix=prefix, patience=0.1) as away:
        with pytest.raises(QueueUnavailableError):
            await away.generate_report({"firmId": firm_id}, "client-aging")
    [report] = await reports(database)
    assert report.status is ReportStatus.FAILED
    assert "not queued: " in (report.error or "")
    assert "nobody.sock" in (report.error or "")


async def test_a_job_that_reached_the_server_after_all_makes_the_report(
    database: Database, firm_id: str, tmp_path: Path, server_url: str, prefix: str
) -> None:
    class LosingAnswers(QueueService):
        async def add_job(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            await super().add_job(*args, **kwargs)
            raise QueueUnavailableError("the connection was lost")

    definitions = all_queues(database, tmp_path).values()
    async with LosingAnswers(definitions, database=database, url=server_url, prefix=prefix) as service:
        with pytest.raises(QueueUnavailableError):
            await service.generate_report({"firmId": firm_id}, "client-aging")
        [report] = await reports(database)
        assert report.status is ReportStatus.FAILED
        assert (await worked(service, report.job_id or ""))["state"] == "completed"
    [report] = await reports(database)
    assert (report.status, report.error) == (ReportStatus.READY, None)


async def test_the_same_job_twice_is_one_report(
    service: QueueService, database: Database, firm_id: str
) -> None:
    data = {"firmId": firm_id}
    by_id = [await service.generate_report(data, "client-aging", {"jobId": "mine"}) for _ in range(2)]
    assert by_id[0]["reportId"] == by_id[1]["reportId"]
    debounced = [
        await service.generate_report(data, "client-aging", debounce=Debounce("aging", ttl=60))
        for _ in range(2)
    ]
    assert debounced[0]["jobId"] == debounced[1]["jobId"]
    assert debounced[0]["reportId"] == debounced[1]["reportId"]
    assert [each.id for each in await reports(database)] == [by_id[0]["reportId"], debounced[0]["reportId"]]
    assert (await service.get_job_counts("report"))["waiting"] == 2


async def test_a_report_that_is_there_is_gone_on_with(
    service: QueueService, database: Database, firm_id: str
) -> None:
    async with database.session() as session:
        saved = Report(firm_id=firm_id, type="client-aging", name="mine")
        session.add(saved)
    data = {"firmId": firm_id, "reportId": saved.id}
    added = await service.generate_report(data, "client-aging")
    assert added["reportId"] == saved.id
    assert len(await reports(database)) == 1


async def test_a_repeated_report_saves_one_in_each_run(
    service: QueueService, database: Database, firm_id: str
) -> None:
    added = await service.generate_report({"firmId": firm_id}, "client-aging", repeat=Repeat(every=0.05))
    assert added["reportId"] is None
    assert await reports(database) == []

    async def two_are_ready() -> bool:
        return sum(each.status is ReportStatus.READY for each in await reports(database)) >= 2

    async with make_worker(service.definitions["report"], service.queue("report")):
        await until(two_are_ready, within_s=60)


async def test_a_service_without_records_says_what_it_needs(
    database: Database, firm_id: str, tmp_path: Path
) -> None:
    definitions = all_queues(database, tmp_path).values()
    async with QueueService(definitions, url="unix:///nowhere.sock") as service:
        with pytest.raises(ConfigurationError, match="database="):
            await service.generate_report({"firmId": firm_id}, "client-aging")
