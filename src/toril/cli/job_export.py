"""``toril jobs export``."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import typer

from toril.cli.command import Call, command
from toril.cli.discovery import require_queue
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import count, note, print_json, shown_job
from toril.cli.queues import QueueName
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.search import walk_jobs
from toril.engine.states import check_state

_COLUMNS: Final = (
    "id", "name", "state", "timestamp", "processedOn", "finishedOn", "attemptsMade", "progress", "failedReason",
    "data", "opts", "returnvalue",
)  # fmt: skip


@command(
    examples="""
    toril jobs export email --state failed > failed.jsonl
    toril jobs export email --format csv --output jobs.csv
    """
)
async def export_jobs(
    call: Call,
    queue: QueueName,
    state: Annotated[
        str, typer.Option(metavar="STATE", help="Their state (completed).", show_default=False)
    ] = "completed",
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help="jsonl, an object a line; or csv.", show_default=False
        ),
    ] = "jsonl",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A new file; else standard output.", show_default=False),
    ] = None,
) -> None:
    """Write the jobs of one state, one a line.

    The newest first. Jobs that stay in that state meanwhile are in it once, whatever comes and goes.
    """
    checked = check_state(state)
    if form not in ("jsonl", "csv"):
        raise CommandError(f"--format {form!r} is neither jsonl nor csv", exit=ExitCode.USAGE, code="usage")
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        if output is None:
            number = await _write(opened, checked, form, sys.stdout)
            note(f"{count(number, 'job')} written.")
            return
        try:
            with output.open("x", encoding="utf-8-sig" if form == "csv" else "utf-8", newline="") as file:
                number = await _write(opened, checked, form, file)
        except OSError as error:
            raise CommandError(
                f"--output: {output} cannot be written: {error.strerror or error}",
                exit=ExitCode.USAGE,
                code="bad_output",
                hint="name a file that is not there yet, in a folder of yours",
            ) from error
    if call.json:
        print_json({"queue": queue, "state": checked, "file": str(output), "count": number})
    else:
        note(f"{count(number, 'job')} written to {output}.")


async def _write(queue: Queue, state: str, form: str, file: TextIO) -> int:
    put = _csv(file) if form == "csv" else _lines(file)
    number = 0
    pages: AsyncIterator[list[Job[Any]]] = walk_jobs(queue, state)
    async for page in pages:
        for job in page:
            put(shown_job(queue.name, job) | {"state": state})
            number += 1
    return number


def _lines(file: TextIO) -> Callable[[dict[str, Any]], None]:
    def put(row: dict[str, Any]) -> None:
        # In ASCII, so that nothing a job brought can drive a terminal, and no half of a character stops it.
        file.write(json.dumps(row, default=str) + "\n")

    return put


def _csv(file: TextIO) -> Callable[[dict[str, Any]], None]:
    from toril.queues.spreadsheet import csv_writer, harmless

    def cell(value: Any) -> Any:
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        return harmless(text).encode(errors="backslashreplace").decode()

    writer = csv_writer(file)
    writer.writerow(_COLUMNS)
    return lambda row: writer.writerow([cell(row.get(column)) for column in _COLUMNS])
