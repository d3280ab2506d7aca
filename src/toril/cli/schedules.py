"""``toril schedules``: what runs again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from toril.cli.add import read_json
from toril.cli.command import Call, command
from toril.cli.discovery import require_queue
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import print_json, print_line, print_table, when
from toril.cli.queues import QueueName
from toril.engine.discovery import find_queues
from toril.engine.options import JobOptions
from toril.engine.queue import DEFAULT_NAME, Queue
from toril.engine.repeat import Repeat
from toril.engine.schedules import Schedule
from toril.queues.redaction import redacted

Key = Annotated[
    str, typer.Argument(metavar="KEY", help="The schedule's key, as the list shows it.", show_default=False)
]
Cron = Annotated[
    str | None,
    typer.Option(metavar="EXPR", help="When: five fields, or six with seconds first.", show_default=False),
]
Every = Annotated[
    float | None, typer.Option(metavar="SECONDS", min=0.001, help="Instead of --cron.", show_default=False)
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--tz", metavar="ZONE", help="Time zone of --cron; else TORIL_TIMEZONE.", show_default=False
    ),
]


@command(
    examples="""
    toril schedules list             of all queues, the next to run first
    toril schedules list cleanup     of one queue
    """
)
async def list_schedules(
    call: Call,
    queue: Annotated[
        str | None, typer.Argument(metavar="QUEUE", help="Only this one.", show_default=False)
    ] = None,
) -> None:
    """List schedules with their next runs."""
    names = [queue] if queue else await _all_queues(call)
    rows: list[dict[str, Any]] = []
    for name in sorted(names):
        async with call.queue(name) as opened:
            if queue:
                await require_queue(call, opened)
            rows += [_row(name, schedule) for schedule in await opened.schedules(asc=True)]
    rows.sort(key=lambda row: row["next"])
    if call.json:
        print_json(rows)
    elif rows:
        cells = [
            (
                row["queue"],
                row["key"],
                row["cron"] or f"every {row['every']:g} s",
                row["tz"],
                when(row["next"]),
            )
            for row in rows
        ]
        print_table(("queue", "key", "when", "zone", "next run"), cells)
    else:
        print_line("There is no schedule.")


@command(
    examples="""
    toril schedules add reports nightly --cron "0 2 * * *" --tz Asia/Riyadh
    toril schedules add poller --every 300 --data '{"bank": 7}'
    """
)
async def add_schedule(
    call: Call,
    queue: QueueName,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of its jobs; else __default__.", show_default=False)
    ] = DEFAULT_NAME,
    cron: Cron = None,
    every: Every = None,
    tz: Zone = None,
    data: Annotated[
        str, typer.Option(metavar="JSON", help="Data of its jobs: JSON, @file or -.", show_default=False)
    ] = "{}",
    id: Annotated[
        str | None, typer.Option(metavar="ID", help="Tells schedules of one name apart.", show_default=False)
    ] = None,
) -> None:
    """Add a schedule.

    Adding the same once more changes nothing about its next run. Prints the schedule's key.
    """
    repeat = _repeat(call, cron, every, tz)
    async with call.queue(queue) as opened:
        job = await opened.add(name, read_json("--data", data), repeat=repeat, job_id=id)
        key = job.opts["repeat"]["key"]
        print_json({"queue": queue, "key": key, "jobId": job.id}) if call.json else print_line(key)


@command(
    examples="""
    toril schedules change cleanup "__default__:old-logs::Asia/Riyadh:0 2 * * *" --cron "30 3 * * *"
    """
)
async def change_schedule(
    call: Call, queue: QueueName, key: Key, cron: Cron = None, every: Every = None, tz: Zone = None
) -> None:
    """Give a schedule other times.

    The name, data and options of its jobs stay, and so does when it ends. Prints its new key.
    """
    async with call.queue(queue) as opened:
        schedule = await _require(opened, key)
        if schedule.opts is None:
            raise CommandError(
                f"schedule {key!r} was added by Node and no worker of ours has run it yet, so its data is not known",
                exit=ExitCode.FAILED,
                code="schedule_unknown",
                hint="remove it and add it anew",
            )
        repeat = _until(_repeat(call, cron, every, tz or (schedule.tz if cron else None)), schedule)
        options = JobOptions.from_bull(
            {name: value for name, value in schedule.opts.items() if name not in _OF_ONE_RUN}, strict=False
        ).given()
        options.pop("extra", None)
        job = await opened.add(schedule.name, schedule.data, **options, repeat=repeat, job_id=schedule.id)
        new = job.opts["repeat"]["key"]
        if new != key:
            await opened.remove_schedule(key)
        print_json({"queue": queue, "key": new}) if call.json else print_line(new)


@command(
    examples="""
    toril schedules remove cleanup "__default__:old-logs::Asia/Riyadh:0 2 * * *"
    """
)
async def remove_schedule(call: Call, queue: QueueName, key: Key) -> None:
    """End a schedule.

    Its next run leaves the queue; one that is running goes on. Schedules out of the box do not come back.
    """
    async with call.queue(queue) as opened:
        await _require(opened, key)
        await opened.remove_schedule(key)
        print_json({"removed": key}) if call.json else print_line(f"Removed {key}.")


#: Stored options that belong to one run or say when.
_OF_ONE_RUN = frozenset({"repeat", "jobId", "delay", "timestamp", "prevMillis"})


async def _all_queues(call: Call) -> list[str]:
    connection = call.connection()
    try:
        return await find_queues(connection, call.settings.prefix)
    finally:
        await connection.close()
        await connection.server.close()


async def _require(queue: Queue, key: str) -> Schedule:
    for schedule in await queue.schedules():
        if schedule.key == key:
            return schedule
    raise CommandError(
        f"queue {queue.name!r} has no schedule {key!r}",
        exit=ExitCode.NOT_FOUND,
        code="schedule_not_found",
        hint=f"toril schedules list {queue.name}",
    )


def _repeat(call: Call, cron: str | None, every: float | None, tz: str | None) -> Repeat:
    if (cron is None) == (every is None):
        raise CommandError("give --cron or --every, one of them", exit=ExitCode.USAGE, code="usage")
    return Repeat(cron=cron, tz=tz or call.settings.timezone) if cron else Repeat(every=every)


def _until(repeat: Repeat, schedule: Schedule) -> Repeat:
    """``repeat`` with the bounds of a schedule: its limit, how many runs of that are over, its first and last day."""
    return replace(
        repeat,
        limit=schedule.limit,
        count=max((schedule.count or 1) - 1, 0),
        start_date=None if repeat.every else ((schedule.opts or {}).get("repeat") or {}).get("startDate"),
        end_date=schedule.end_date,
    )


def _row(queue: str, schedule: Schedule) -> dict[str, Any]:
    return {
        "queue": queue,
        "key": schedule.key,
        "name": schedule.name,
        "cron": schedule.cron,
        "every": schedule.every,
        "tz": schedule.tz,
        "next": schedule.next,
        "count": schedule.count,
        "limit": schedule.limit,
        "data": redacted(queue, schedule.data),
    }
