"""Report workers killed in the middle of an export: the next one leaves one whole file and one report."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from benchmarks.bench_export import FIRM, fill
from pyarrow import parquet
from sqlalchemy import select
from tests.support.processes import module_process
from tests.support.report_jobs import files_in
from tests.support.until import until

from toril.db.models import GeneratedFile, Report, ReportStatus
from toril.db.session import Database
from toril.db.url import SQLITE_FILE
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.queues.registry import open_queue
from toril.queues.report import report_queue
from toril.queues.storage import LocalFileStore

ROOT = Path(__file__).parents[2]
ROWS = 25_000


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Records of a firm with many invoices."""
    async with Database(home=tmp_path) as opened:
        await fill(f"sqlite:///{tmp_path / SQLITE_FILE}", ROWS)
        yield opened


@pytest.fixture
async def url(start_server: Any) -> str:
    return str(start_server("valkey").url)


@pytest.fixture
async def queue(database: Database, url: str, prefix: str, tmp_path: Path) -> AsyncIterator[Queue]:
    definition = report_queue(database=database, files=LocalFileStore(tmp_path / "files"))
    async with open_queue(definition, url=url, prefix=prefix) as opened:
        yield opened


#: A worker process that is ready; killed at the end.
worker = partial(module_process, "tests.support.report_worker")


async def ask(queue: Queue, format: str, **options: Any) -> Job[Any]:
    data = {"firmId": FIRM, "exportType": "invoices", "format": format}
    return await queue.add("__default__", {"type": "data-export", "data": data}, **options)


async def kill_in_the_middle(queue: Queue, job: Job[Any], *arguments: str, before: int = 0) -> None:
    """Run a worker until the export is some way on, and kill it.

    Args:
        before: how many workers of this job were killed already.
    """
    async with worker(*arguments) as process:

        async def under_way() -> bool:
            current = await queue.get_job(job.id)
            assert current is not None
            taken = await current.state() == "active" and current.stalled_counter >= before
            return taken and 5 < current.progress < 70

        await until(under_way, within_s=60)
        process.kill()
        await process.wait()
    assert await job.state() == "active"


async def saved(database: Database) -> tuple[list[Report], list[GeneratedFile]]:
    async with database.reading() as session:
        rows = list((await session.scalars(select(Report))).all())
        return rows, list((await session.scalars(select(GeneratedFile))).all())


def size_of(result: dict[str, Any]) -> int:
    return Path(result["filePath"]).stat().st_size


def numbers_in(path: Path) -> list[str]:
    """The invoices' numbers in a file, by a reader that is not ours."""
    match path.suffix:
        case ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                return [row["number"] for row in csv.DictReader(file, strict=True)]
        case ".json":
            return [row["number"] for row in json.loads(path.read_bytes())]
        case ".parquet":
            return [str(number) for number in parquet.read_table(path).column("number").to_pylist()]
        case _:
            with contextlib.closing(openpyxl.load_workbook(path, read_only=True)) as book:
                rows = book["invoices"].iter_rows(min_row=2, max_col=2, values_only=True)
                return [str(row[1]) for row in rows]


@pytest.mark.parametrize("format", ["csv", "json", "xlsx", "parquet"])
async def test_an_export_is_made_whole_by_the_next_worker(
    format: str, database: Database, queue: Queue, url: str, prefix: str, tmp_path: Path
) -> None:
    job = await ask(queue, format)
    files = tmp_path / "files"

    await kill_in_the_middle(queue, job, url, prefix, str(tmp_path))

    assert files_in(files) == [f"export.{format}"]  # the draft, under no name that anybody looks for
    assert [report.status for report in (await saved(database))[0]] == [ReportStatus.RUNNING]

    async with worker(url, prefix, str(tmp_path)):
        result = await job.result(timeout=60)

    assert files_in(files) == [result["fileName"]]
    assert list(Path(result["filePath"]).parent.iterdir()) == [Path(result["filePath"])]
    assert size_of(result) == result["size"]
    assert numbers_in(Path(result["filePath"])) == [f"INV-{number:07d}" for number in range(1, ROWS + 1)]
    (report,), (file,) = await saved(database)
    assert (report.status, report.id, report.file_id) == (ReportStatus.READY, result["reportId"], file.id)
    assert (file.path, file.size) == (result["filePath"], result["size"])
    assert result["recordCount"] == ROWS


async def test_workers_killed_too_often_leave_a_failed_report_and_no_file(
    database: Database, queue: Queue, url: str, prefix: str, tmp_path: Path
) -> None:
    job = await ask(queue, "csv")
    files = tmp_path / "files"
    arguments = (url, prefix, str(tmp_path), "2")
    for before in range(3):  # one more than is tolerated
        await kill_in_the_middle(queue, job, *arguments, before=before)
        assert files_in(files) == ["export.csv"]  # one draft, however many runs there were

    async with worker(*arguments):

        async def given_up() -> bool:
            return [report.status for report in (await saved(database))[0]] == [ReportStatus.FAILED]

        await until(given_up, within_s=60)

        async def tidied_up() -> bool:
            return files_in(files) == []

        await until(tidied_up)
    assert await job.state() == "failed"
    (report,), made = await saved(database)
    assert (report.error, made) == ("job stalled more than allowable limit", [])
