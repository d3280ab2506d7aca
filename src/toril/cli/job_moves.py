"""``toril jobs promote`` and ``cancel``."""

from __future__ import annotations

from typing import Annotated

import typer

from toril.cli.command import Call, command
from toril.cli.discovery import require_queue
from toril.cli.exits import ExitCode
from toril.cli.jobs import JobIds, each_job, require_which
from toril.cli.output import confirm, count, print_json, print_line
from toril.cli.queues import QueueName


@command(
    examples="""
    toril jobs promote email 41     one job
    toril jobs promote email --all  everything that is delayed
    """
)
async def promote_jobs(
    call: Call,
    queue: QueueName,
    job_ids: JobIds = None,
    every: Annotated[
        bool, typer.Option("--all", help="All jobs that are delayed.", show_default=False)
    ] = False,
) -> int:
    """Let delayed jobs run now.

    They take their place among those that wait. The next run of a schedule counts as delayed too.
    """
    require_which(job_ids, every=every)
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        if not every:
            return await each_job(call, opened, job_ids or [], "promoted", opened.actions.promote)
        moved = await opened.promote_jobs()
    if call.json:
        print_json({"queue": queue, "count": moved})
    else:
        print_line(f"{count(moved, 'job')} promoted.")
    return ExitCode.DONE


@command(
    examples="""
    toril jobs cancel email 41 42        asks first
    toril jobs cancel email 41 --yes     for a script
    """
)
async def cancel_jobs(
    call: Call,
    queue: QueueName,
    job_ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of jobs.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
) -> int:
    """Stop jobs that wait or run.

    One that waits fails at once, with the reason "cancelled"; the worker of one that runs is told to stop it. Node's
    workers do not listen.
    """
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        confirm(
            f"stop {count(len(job_ids), 'job')} of queue {queue!r} on {opened.server}, which then fail",
            yes=yes,
            as_json=call.json,
        )
        return await each_job(call, opened, job_ids, "cancelled", opened.actions.cancel)
