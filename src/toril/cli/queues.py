"""``toril queues``, and what can be done with a whole queue: pause, resume, clean."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from toril.cli.command import PATIENCE, Call, command
from toril.cli.discovery import require_queue
from toril.cli.output import confirm, count, print_json, print_line, print_table, progress
from toril.engine.discovery import find_queues
from toril.engine.states import PAUSED, WAITING, check_state
from toril.errors import QueueUnavailableError

#: Queues asked at the same time.
_AT_ONCE = 10

QueueName = Annotated[str, typer.Argument(metavar="QUEUE", help="Name of the queue.", show_default=False)]


@command(
    examples="""
    toril queues                                   on REDIS_URL, else on the embedded server
    toril queues --url redis://localhost:6379/2    on another server
    toril queues --json                            for a script
    """
)
async def list_queues(call: Call) -> None:
    """List all queues with their counts.

    Finds every queue under the prefix, whoever made it. Workers are those that are connected now, Node's too.
    """
    connection = call.connection()
    try:
        with progress(as_json=call.json) as display:
            total = int(await connection.execute("DBSIZE", repeat=True, patience=PATIENCE))
            walk = display.add_task("looking for queues", total=3 * total)
            names = await find_queues(
                connection, call.settings.prefix, seen=lambda keys: display.advance(walk, keys)
            )
            ask = display.add_task("asking queues", total=len(names))
            slots = asyncio.Semaphore(_AT_ONCE)

            async def read(name: str) -> dict[str, Any]:
                async with slots:
                    row = await _read(call, name)
                display.advance(ask)
                return row

            rows = await asyncio.gather(*map(read, names))
    finally:
        await connection.close()
        await connection.server.close()
    if call.json:
        print_json(rows)
    elif rows:
        columns = ("queue", "waiting", "active", "delayed", "completed", "failed", "workers", "paused")
        print_table(columns, [_cells(row) for row in rows], numbers=columns[1:7])
    else:
        print_line(f"There is no queue under the prefix {call.settings.prefix!r} on {connection.server}.")


@command(
    examples="""
    toril pause email      running jobs end, nothing new is started; adding goes on
    toril resume email     go on
    """
)
async def pause_queue(call: Call, queue: QueueName) -> None:
    """Let no worker take jobs of a queue.

    It holds for all workers, Node's too, until the queue is resumed.
    """
    await _set_paused(call, queue, paused=True)


@command(
    examples="""
    toril resume email
    """
)
async def resume_queue(call: Call, queue: QueueName) -> None:
    """Let workers take jobs of a paused queue again."""
    await _set_paused(call, queue, paused=False)


@command(
    examples="""
    toril clean email --grace 86400                          completed more than a day ago
    toril clean email --grace 604800 --state failed --yes    failed more than a week ago, without asking
    toril clean email --grace 0 --state waiting --limit 100  the next 100 to run
    """
)
async def clean_queue(
    call: Call,
    queue: QueueName,
    grace: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="Only jobs left alone for so long.", show_default=False),
    ],
    state: Annotated[
        str,
        typer.Option(
            metavar="STATE",
            help="completed (unless told), failed, delayed, waiting, paused or active.",
            show_default=False,
        ),
    ] = "completed",
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, help="At most so many, the oldest first.", show_default=False)
    ] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
) -> None:
    """Delete old jobs of one state.

    What counts is when a job finished, else when it was started, else when it was added. Jobs that a worker
    holds stay.
    """
    checked = check_state(state)
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        there = (await opened.counts(checked))[checked]
        most = f"up to {limit:,} of " if limit else ""
        confirm(
            f"delete {most}the {checked} jobs of queue {queue!r} on {opened.server} that are older than "
            f"{grace:g} s; it has {there:,} {checked}",
            yes=yes,
            as_json=call.json,
        )
        removed = await opened.clean(grace, checked, limit)
    if call.json:
        print_json({"queue": queue, "state": checked, "removed": removed})
    else:
        print_line(f"{count(len(removed), 'job')} deleted.")


async def _set_paused(call: Call, name: str, *, paused: bool) -> None:
    async with call.queue(name) as queue:
        await require_queue(call, queue)
        await (queue.pause() if paused else queue.resume())
        waiting = sum((await queue.counts(WAITING, PAUSED)).values())
    if call.json:
        print_json({"queue": name, "paused": paused, "waiting": waiting})
    else:
        print_line(f"Queue {name!r} is {'paused' if paused else 'running'}; {count(waiting, 'job')} waiting.")


async def _read(call: Call, name: str) -> dict[str, Any]:
    async with call.queue(name) as queue:
        counts, paused = await asyncio.gather(queue.counts(), queue.is_paused())
        try:
            workers: int | None = len(await queue.workers())
        except QueueUnavailableError:  # a user who may not see the server's clients
            workers = None
    return {"name": name, **counts, "isPaused": paused, "workers": workers}


def _cells(row: dict[str, Any]) -> list[Any]:
    # To a person, jobs on a paused queue wait like others.
    waiting = row[WAITING] + row[PAUSED]
    numbers = [waiting, *(row[state] for state in ("active", "delayed", "completed", "failed"))]
    workers = "?" if row["workers"] is None else row["workers"]
    return [row["name"], *(f"{number:,}" for number in numbers), workers, row["isPaused"]]
