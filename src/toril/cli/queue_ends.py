"""``toril empty`` and ``obliterate``: what deletes without asking how old a job is."""

from __future__ import annotations

from typing import Annotated

import typer

from toril.cli.command import Call, command
from toril.cli.discovery import require_queue
from toril.cli.output import confirm, count, print_json, print_line
from toril.cli.queues import QueueName

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)]


@command(
    examples="""
    toril empty email            asks first
    toril empty email --yes      for a script
    """
)
async def empty_queue(call: Call, queue: QueueName, yes: YesOption = False) -> None:
    """Delete all jobs that are not started yet.

    Those that wait, also on a paused queue, and delayed ones. Running and finished jobs and schedules stay.
    """
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        there = await opened.count()
        confirm(
            f"delete the {count(there, 'job')} of queue {queue!r} on {opened.server} that wait or are delayed",
            yes=yes,
            as_json=call.json,
        )
        await opened.empty()
        left = await opened.count()
    if call.json:
        print_json({"queue": queue, "count": max(0, there - left), "left": left})
    else:
        print_line(f"{count(max(0, there - left), 'job')} deleted.")


@command(
    examples="""
    toril obliterate old-queue              asks first
    toril obliterate old-queue --force      even if jobs run
    """
)
async def obliterate_queue(
    call: Call,
    queue: QueueName,
    force: Annotated[bool, typer.Option("--force", help="Even if jobs run.", show_default=False)] = False,
    yes: YesOption = False,
) -> None:
    """Delete a queue with all that is in it.

    Jobs in every state, schedules, counts per minute, logs. It is paused first; dead letters are in a queue of their
    own, and stay.
    """
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        jobs = sum((await opened.counts()).values())
        schedules = await opened.schedule_count()
        confirm(
            f"delete queue {queue!r} on {opened.server} with {count(jobs, 'job')} and "
            f"{count(schedules, 'schedule')}",
            yes=yes,
            as_json=call.json,
        )
        await opened.obliterate(force=force)
    if call.json:
        print_json({"queue": queue, "count": jobs, "schedules": schedules})
    else:
        print_line(f"Queue {queue!r} is deleted, with {count(jobs, 'job')}.")
