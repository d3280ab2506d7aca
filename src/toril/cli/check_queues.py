"""The doctor's look at the queues: is somebody at work on each, and are the schedules there and on time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from toril.cli.command import PATIENCE
from toril.cli.finding import Finding
from toril.cli.output import count
from toril.engine.dead_letters import DEAD_LETTER
from toril.engine.discovery import find_queues
from toril.engine.states import ACTIVE, PAUSED, WAITING
from toril.errors import QueueUnavailableError
from toril.queues.planned import PLANNED

if TYPE_CHECKING:
    from toril.cli.command import Call
    from toril.engine.queue import Queue
    from toril.engine.schedules import Schedule

#: Seconds for finding the queues; the walk is long where a server holds millions of other keys.
_FIND_WITHIN = 4.0
#: Queues asked at the same time, and looked at in all.
_AT_ONCE, _MOST = 10, 200
#: Schedules of a queue that are looked at, those that come first.
_SCHEDULES = 500
#: Milliseconds after which a run that has not come is late; workers promote every few seconds.
_LATE_MS = 5 * 60_000


async def check_queues(call: Call) -> AsyncIterator[Finding]:
    """Look at all queues under the prefix."""
    names, whole = await _names(call)
    if not whole:
        text = f"there are too many keys to find all queues in {_FIND_WITHIN:g} s; looked at those of toril serve"
        yield Finding(level="note", about="queues", text=text, hint="toril queues finds all")
    if not names:
        text = f"there is none yet under the prefix {call.settings.prefix!r}"
        yield Finding(level="note", about="queues", text=text, hint="toril serve makes the ready-made ones")
        return
    slots = asyncio.Semaphore(_AT_ONCE)

    async def look(name: str) -> list[Finding]:
        async with slots, call.queue(name) as queue:
            return await _dead_letters(queue) if name == DEAD_LETTER else await _look(queue)

    for findings in await asyncio.gather(*map(look, names[:_MOST])):
        for finding in findings:
            yield finding


async def _names(call: Call) -> tuple[list[str], bool]:
    connection = call.connection()
    try:
        async with asyncio.timeout(_FIND_WITHIN):
            return await find_queues(connection, call.settings.prefix), True
    except TimeoutError:
        return sorted(
            {planned.queue for planned in PLANNED} | {"email", "pdf", "notification", "report"}
        ), False
    finally:
        await connection.close()
        await connection.server.close()


async def _look(queue: Queue) -> list[Finding]:
    counts, paused, schedules, now = await asyncio.gather(
        queue.counts(), queue.is_paused(), queue.schedules(0, _SCHEDULES - 1, asc=True), _now(queue)
    )
    waits = counts[WAITING] + counts[PAUSED]
    try:
        workers: int | None = len(await queue.workers())
    except QueueUnavailableError:  # a user who may not see the server's clients
        workers = None
    return [
        _working(queue.name, workers, waits, counts[ACTIVE], paused=paused),
        *_late(queue.name, schedules, now, workers),
        *await _planned(queue, {schedule.id for schedule in schedules}, whole=len(schedules) < _SCHEDULES),
    ]


def _working(name: str, workers: int | None, waits: int, active: int, *, paused: bool) -> Finding:
    about, jobs = f"queue {name}", f"{count(waits, 'job')} waiting"
    if workers is None:
        text = f"{jobs}; this user may not see the server's clients, so the workers are unknown"
        return Finding(level="note", about=about, text=text)
    if workers:
        text = f"{count(workers, 'worker')}, {jobs}, {active:,} running"
        if paused and waits:
            return Finding(
                level="warning", about=about, text=f"it is paused: {text}", hint=f"toril resume {name}"
            )
        return Finding(level="ok", about=about, text=text)
    start = "start toril serve, or toril worker for a queue of your own"
    if waits or active:
        text = f"{jobs}, {active:,} that a worker left, and no worker is connected"
        return Finding(level="wrong", about=about, text=text, hint=start)
    return Finding(level="warning", about=about, text="no worker is connected", hint=start)


def _late(name: str, schedules: list[Schedule], now: int, workers: int | None) -> Iterator[Finding]:
    late = [
        schedule
        for schedule in schedules
        if schedule.next is not None
        and schedule.next < now - _LATE_MS
        and not (schedule.end_date is not None and schedule.end_date <= now)
        and not (schedule.limit is not None and (schedule.count or 0) >= schedule.limit)
    ]
    if late:
        first = late[0]
        text = (
            f"{count(len(late), 'schedule')} late; {first.id or first.key!r} should have run "
            f"{(now - float(first.next or now)) / 60_000:,.0f} minutes ago"
        )
        hint = "restart its workers, and see their log" if workers else "start its workers"
        yield Finding(level="wrong", about=f"schedules of {name}", text=text, hint=hint)


async def _planned(queue: Queue, there: set[str | None], *, whole: bool) -> list[Finding]:
    planned = [each.type for each in PLANNED if each.queue == queue.name]
    if not planned:
        return []
    about, key = f"schedules of {queue.name}", queue.keys.of("toril:planned")
    installed = await queue.connection.execute("SMEMBERS", key, repeat=True, patience=PATIENCE)
    known = {each.decode() for each in installed}
    if absent := [name for name in planned if name not in known]:
        text = f"not put in place: {', '.join(absent)}"
        return [Finding(level="warning", about=about, text=text, hint="toril serve does so when it starts")]
    if gone := [name for name in planned if name not in there]:
        if not whole:
            return []
        text = f"somebody has removed {', '.join(gone)}"
        return [Finding(level="note", about=about, text=text, hint="toril schedules add puts one back")]
    return [Finding(level="ok", about=about, text=f"all {len(planned)} that are planned are there")]


async def _dead_letters(queue: Queue) -> list[Finding]:
    letters = sum((await queue.counts(WAITING, PAUSED)).values())
    if not letters:
        return [Finding(level="ok", about="dead letters", text="none")]
    text = f"{count(letters, 'job')} failed for good"
    return [
        Finding(level="warning", about="dead letters", text=text, hint="toril dead-letters list tells why")
    ]


async def _now(queue: Queue) -> int:
    seconds, micros = await queue.connection.execute("TIME", repeat=True, patience=PATIENCE)
    return int(seconds) * 1000 + int(micros) // 1000
