"""Reports and documents for many workers at once: rows, files, and rows of files."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select
from tests.support.payload_cases import sample
from tests.support.report_jobs import NOW, files_in
from tests.support.report_ledger import add_books
from tests.support.same_work import Scenario, Scenarios, Work

from toril.db.models import GeneratedFile, Report
from toril.db.session import Database
from toril.queues.base import QueueDefinition
from toril.queues.pdf.definition import pdf_queue
from toril.queues.pdf.engines import EngineOptions
from toril.queues.pdf.firm_records import FirmRecords
from toril.queues.report import report_queue
from toril.queues.report.processors import AddJob
from toril.queues.storage import LocalFileStore

_REPORTS = ("financial", "analytics", "time-utilization", "client-aging", "custom", "data-export")
_DOCUMENTS = ("invoice", "report", "statement", "contract", "custom")


def _documents(own: Database, files: LocalFileStore) -> QueueDefinition:
    records = FirmRecords(own, files)
    return pdf_queue(
        store=files,
        engines=EngineOptions(at_once=1),
        find_seller=records.find_seller,
        complete=records.complete,
        note_file=records.note_file,
    )


async def reports(database: Database, stack: AsyncExitStack) -> Work:
    """Of each type two jobs for a report that waits, of which one is refused, and two that make their own; half of
    them are printed."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    async with database.session() as session:
        firm, *_ = await add_books(session)
        waiting = {type: Report(firm_id=firm.id, type=type, name="waits") for type in _REPORTS}
        session.add_all(waiting.values())

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        files = LocalFileStore(folder)
        return [
            report_queue(database=own, files=files, add_job=add, now=lambda: NOW),
            _documents(own, files),
        ]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        async with own.reading() as session:
            rows = (await session.scalars(select(Report))).all()
            files = (await session.scalars(select(GeneratedFile))).all()
        paths = {each.id: Path(each.path) for each in files}
        assert sorted(path.name for path in paths.values()) == files_in(folder), "a file has no row"
        assert all(each.size == paths[each.id].stat().st_size for each in files)
        return {
            "returned": len(results),
            "reports": sorted(
                (
                    row.type,
                    row.name,
                    row.status,
                    str(row.error),
                    _plain(row.summary),
                    _content(paths[row.file_id or ""]),
                )
                for row in rows
            ),
            "files": Counter((each.queue, each.kind, each.media_type) for each in files),
        }

    def job(type: str, **changes: Any) -> dict[str, Any]:
        return {"type": type, "data": sample("report", type) | {"firmId": firm.id} | changes}

    jobs = [
        job(type, **change, **({"format": format} if type != "data-export" or format != "pdf" else {}))
        for change_of, format in ((True, "json"), (True, "json"), (False, "pdf"), (False, "json"))
        for type in _REPORTS
        for change in [{"reportId": waiting[type].id} if change_of else {}]
    ]
    return Work(open=open, jobs=jobs, left=left, refused=re.compile("reportId: this report is of another"))


def _plain(summary: dict[str, Any] | None) -> str:
    """Without ids, which differ from run to run."""
    text = orjson.dumps(summary, option=orjson.OPT_SORT_KEYS).decode()
    return re.sub(r'"report-[#0-9a-f-]+"', '"#"', re.sub(r"[0-9a-f]{24}", "#", text))


def _content(path: Path) -> str:
    found = path.read_bytes()
    document = orjson.loads(found) if path.suffix == ".json" else None
    if isinstance(document, dict):
        return _plain(document)
    return f"{path.suffix} of {len(found)} bytes"


async def documents(database: Database, stack: AsyncExitStack) -> Work:
    """Three jobs for each of some documents: each job makes its file, and a row for it."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        return [_documents(own, LocalFileStore(folder))]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        async with own.reading() as session:
            files = (await session.scalars(select(GeneratedFile))).all()
        assert sorted(Path(each.path).name for each in files) == files_in(folder), "a file has no row"
        assert sorted(each.path for each in files) == sorted(each["filePath"] for each in results)
        return Counter((each.kind, each.queue) for each in files)

    jobs = [{"type": type, "data": sample("pdf", type)} for _ in range(6) for type in _DOCUMENTS]
    return Work(open=open, jobs=jobs, left=left)


PAPERS: Scenarios = {
    "reports": Scenario("report", _REPORTS, reports),
    "documents": Scenario("pdf", _DOCUMENTS, documents),
}
