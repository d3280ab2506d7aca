"""The type ``data-export``: all records of a kind, streamed into a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from sqlalchemy import Select, func, select

from toril.db.stream import stream
from toril.errors import UnrecoverableError
from toril.queues.report.documents import table_pages
from toril.queues.report.kinds import Column, Source
from toril.queues.report.making import UPRIGHT_COLUMNS, Made, Making
from toril.queues.report.payloads import MAX_PDF_ROWS, DataExport
from toril.queues.report.queries.conditions import matching
from toril.queues.report.query import Output
from toril.queues.report.words import title_of
from toril.queues.report.writers.base import FORMATS, RowWriter, Sheet, open_writer

R = TypeVar("R")

#: Rows that are in memory at once.
CHUNK: Final = 1000


async def make_export(payload: DataExport, making: Making) -> Made:
    """Write the file. It has the records as they were at one moment, however long it takes.

    Progress is how many of the rows are written, in per cent.
    """
    if payload.format == "pdf":
        return await _printed(payload, making)
    source, zone, format = payload.of, making.report.zone, FORMATS[payload.format]
    columns = list(source.columns.values())
    path = making.folder / f"export.{format.suffix}"
    sheet = Sheet(title=source.name, columns=columns, zone=zone)
    writer = await _in_thread(open_writer, payload.format, path, sheet)
    try:
        count = await _copy(_statement(source, columns, payload, making), writer, making)
        await _in_thread(writer.close)
    except BaseException:
        with suppress(OSError):
            writer.discard()
        raise
    return Made(
        file=path,
        stem=f"{source.name}-{making.report.asked_on}",
        suffix=format.suffix,
        media_type=format.media_type,
        kind="export",
        summary=_summary(payload, count) | ({"remarks": writer.remarks} if writer.remarks else {}),
        result=_summary(payload, count),
    )


async def _copy(statement: Select[Any], writer: RowWriter, making: Making) -> int:
    """Write the rows of ``statement``; returns how many there were."""
    count = 0
    async with making.database.reading() as session:
        every = statement.order_by(None).subquery()
        total = await session.scalar(select(func.count()).select_from(every)) or 0
        async for rows in stream(session, statement, chunk=CHUNK):
            await _in_thread(writer.write, rows)
            count += len(rows)
            await making.tell(min(99, 100 * count // max(1, total)))
    return count


async def _in_thread(call: Callable[..., R], *arguments: Any) -> R:
    """Call where it blocks nobody. When the task is cancelled, what was begun is ended first; it is never long."""
    task = asyncio.create_task(asyncio.to_thread(call, *arguments), name="toril-report-file")
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        task.exception()  # looked at, so that nobody complains
        raise


async def _printed(payload: DataExport, making: Making) -> Made:
    """The records on pages: as many rows and columns as have room there.

    Raises:
        UnrecoverableError: there are too many rows.
    """
    source = payload.of
    columns = [source.columns[name] for name in source.brief]
    async with making.asking() as session:
        statement = _statement(source, columns, payload, making).limit(MAX_PDF_ROWS + 1)
        found = (await session.execute(statement)).all()
        currency = await making.currency(session, source, payload.conditions)
    if len(found) > MAX_PDF_ROWS:
        raise UnrecoverableError(
            f"more than {MAX_PDF_ROWS:,} {source.name} are wanted, which is as much as a PDF takes: narrow it with "
            "filters, or ask for another format"
        )
    rows = [dict(zip(source.brief, row, strict=True)) for row in found]
    # One currency is said below the table, and needs no column.
    shown = [
        Output(name=column.name, column=column, kind=column.kind, scale=column.scale)
        for column in columns
        if column.name != "currency" or currency is None
    ]
    summary = _summary(payload, len(rows))
    return Made(
        file=await making.write_json({"type": "data-export", **summary, "rows": rows}),
        stem=f"{source.name}-{making.report.asked_on}",
        kind="export",
        summary=summary,
        result=summary,
        landscape=len(shown) > UPRIGHT_COLUMNS,
        pdf=table_pages(title_of(source.name), shown, rows, making, currency=currency),
    )


def _statement(source: Source, columns: list[Column], payload: DataExport, making: Making) -> Select[Any]:
    wanted = matching(source, payload.conditions, firm_id=making.report.firm_id, zone=making.report.zone)
    expressions = (column.expression.label(f"c{at}") for at, column in enumerate(columns))
    return select(*expressions).select_from(source.rows).where(wanted).order_by(source.key)


def _summary(payload: DataExport, count: int) -> dict[str, Any]:
    return {"exportType": payload.of.name, "format": payload.format, "recordCount": count}
