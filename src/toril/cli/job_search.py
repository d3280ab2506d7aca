"""``toril jobs search``."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any

import typer

from toril.cli.command import Call, command
from toril.cli.discovery import require_queue
from toril.cli.output import note, print_json, print_table, progress, shown_job, when
from toril.cli.queues import QueueName
from toril.engine.job import Job
from toril.engine.search import find_jobs
from toril.engine.states import ALL, check_state
from toril.queues.redaction import redacted


@command(
    examples="""
    toril jobs search email sara@firm.example                  in all states
    toril jobs search email sara@firm.example --state failed   in one
    """
)
async def search_jobs(
    call: Call,
    queue: QueueName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for.", show_default=False)],
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE", help=f"{', '.join(ALL)}; may be repeated; else all of them.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many to find at most (20).", show_default=False)
    ] = 20,
) -> None:
    """Look for jobs by a text in their id, name or data as far as it is shown.

    The newest of each state first. There is no index: all jobs are looked at, in short steps.
    """
    states = list(dict.fromkeys(map(check_state, state or ALL)))
    jobs: list[tuple[str, Job[Any]]] = []
    looked_at, cursor = 0, None
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        total = sum((await opened.counts(*states)).values())
        with progress(as_json=call.json) as display:
            task = display.add_task("looking at jobs", total=total)
            while True:
                found = await find_jobs(
                    opened,
                    text,
                    states=states,
                    limit=limit - len(jobs),
                    cursor=cursor,
                    view=partial(redacted, queue),
                )
                jobs += found.jobs
                looked_at, cursor = looked_at + found.looked_at, found.cursor
                display.update(task, completed=looked_at)
                if cursor is None or len(jobs) >= limit:
                    break
    if call.json:
        rows = [shown_job(queue, job) | {"state": each} for each, job in jobs]
        print_json({"jobs": rows, "lookedAt": looked_at, "finished": cursor is None})
        return
    print_table(
        ("id", "name", "state", "added", "failed reason", "data"),
        (
            (
                job.id,
                job.name,
                each,
                when(job.timestamp),
                job.failed_reason,
                json.dumps(redacted(queue, job.data), ensure_ascii=False, default=str)[:500],
            )
            for each, job in jobs
        ),
    )
    if cursor is not None:
        note(f"There may be more: {looked_at:,} jobs were looked at; a larger --limit finds them.")
