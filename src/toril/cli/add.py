"""``toril jobs add``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from toril.cli.command import Call, command
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import note, print_json, print_line, shown_job
from toril.cli.queues import QueueName
from toril.cli.ready_made import READY_MADE, prepare
from toril.engine.options import JobOptions
from toril.engine.queue import DEFAULT_NAME


@command(
    examples="""
    toril jobs add video transcode --data '{"path": "a.mp4"}'
    toril jobs add video transcode --data @job.json --delay 60 --priority 1
    toril jobs add video --data - --options '{"attempts": 5, "backoff": 1000}' < job.json
    toril jobs add cleanup --data '{"type": "temp-files", "data": {"maxAgeHours": 12}}'    checked first
    """
)
async def add_job(
    call: Call,
    queue: QueueName,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the job; else __default__.", show_default=False)
    ] = DEFAULT_NAME,
    data: Annotated[
        str,
        typer.Option(
            metavar="JSON",
            help="The job's data: JSON, @file, or - for standard input; else {}.",
            show_default=False,
        ),
    ] = "{}",
    options: Annotated[
        str,
        typer.Option(
            metavar="JSON",
            help="Job options as Bull names them: JSON, @file or -; times in ms.",
            show_default=False,
        ),
    ] = "{}",
    delay: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="Wait before the first attempt.", show_default=False),
    ] = None,
    priority: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="1 is served first, 0 last.", show_default=False)
    ] = None,
    attempts: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Attempts in all.", show_default=False)
    ] = None,
    job_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="An id of your own; a second add changes nothing.", show_default=False
        ),
    ] = None,
    as_is: Annotated[
        bool,
        typer.Option(
            "--as-is",
            help="For a ready-made queue: no check of the data, and no default options.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Add a job.

    The queue need not exist yet. A job for a ready-made queue gets that queue's default options, and data that do
    not fit their type are refused. Prints the job's id.
    """
    chosen = JobOptions.from_bull(read_json("--options", options)).given()
    own = {"delay": delay, "priority": priority, "attempts": attempts, "job_id": job_id}
    chosen |= {option: value for option, value in own.items() if value is not None}
    content = read_json("--data", data)
    if not as_is and queue in READY_MADE:
        place, chosen = prepare(call, queue, content, chosen)
    else:
        place = call.queue(queue)
    async with place as opened:
        job = await opened.add(name, content, **chosen)
        if call.json:
            print_json(shown_job(queue, job) | {"queue": queue, "existed": job.existed})
        else:
            print_line(job.id)
            if job.existed:
                note("It was there already, and stays as it is.")


def read_json(option: str, text: str) -> Any:
    """The value of an option that is JSON, the name of a file after @, or - for standard input."""
    source = "the value"
    try:
        if text == "-":
            source = "standard input"
            text = sys.stdin.read()
        elif text.startswith("@"):
            source = text[1:]
            text = Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(
            f"{option}: {source} cannot be read: {reason}", exit=ExitCode.USAGE, code="bad_data"
        ) from error
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(
            f"{option}: {source} is not JSON: {error}",
            exit=ExitCode.USAGE,
            code="bad_data",
            hint='write it like \'{"to": "a@b.example"}\', in single quotes',
        ) from error
