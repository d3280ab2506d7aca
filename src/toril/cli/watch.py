"""``toril watch``: counts of queues as they change."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from toril.cli.command import PATIENCE, Call, command
from toril.cli.discovery import require_queue
from toril.cli.exits import ExitCode
from toril.cli.output import console_of, note, print_line
from toril.engine.discovery import find_queues
from toril.engine.queue import Queue
from toril.errors import QueueUnavailableError

#: Looks after which queues are looked for anew, when none are named: that is a walk over all keys.
_LOOK_FOR_QUEUES: Final = 10

Counts = dict[str, dict[str, int]]


@command(
    examples="""
    toril watch                        all queues, until Ctrl-C
    toril watch email pdf --every 5    two of them
    toril watch --json | jq .          an object for each change
    """
)
async def watch_queues(
    call: Call,
    queues: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUEUE", help="Names of queues; else all.", show_default=False),
    ] = None,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="Between two looks (1).", show_default=False)
    ] = 1.0,
    looks: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="End after so many looks.", show_default=False)
    ] = None,
) -> int:
    """Show counts of queues as they change.

    On a terminal a table that is kept up to date; into a pipe or a file a line for each queue whose counts have
    changed. Ends with Ctrl-C; goes on when the server is away for a while.
    """
    names = list(dict.fromkeys(queues or []))
    opened: dict[str, Queue] = {}
    view = _Table() if sys.stdout.isatty() and not call.json else _Lines(as_json=call.json)
    try:
        for name in names:
            await require_queue(call, opened.setdefault(name, call.queue(name)))
        looked = 0
        while looks is None or looked < looks:
            if looked:
                await asyncio.sleep(every)
            try:
                if not queues and looked % _LOOK_FOR_QUEUES == 0:
                    names = await _find(call)
                for name in names:
                    opened.setdefault(name, call.queue(name))
                rows = await asyncio.gather(*(opened[name].counts() for name in names))
                view.show(dict(zip(names, rows, strict=True)))
            except QueueUnavailableError as error:
                if not looked:
                    raise
                view.away(str(error))
            looked += 1
    except asyncio.CancelledError:  # Ctrl-C, which is how this ends
        pass
    finally:
        view.end()
        await asyncio.gather(*(queue.close() for queue in opened.values()))
    return ExitCode.DONE


async def _find(call: Call) -> list[str]:
    connection = call.connection()
    try:
        await connection.execute("PING", repeat=True, patience=PATIENCE)
        return await find_queues(connection, call.settings.prefix)
    finally:
        await connection.close()
        await connection.server.close()


class _Lines:
    """A line for each queue whose counts are others than at the last look."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._before: Counts = {}

    def show(self, counts: Counts) -> None:
        for name, row in counts.items():
            if self._before.get(name) == row:
                continue
            time = datetime.now().astimezone()
            if self._as_json:
                typer.echo(json.dumps({"time": time.isoformat(timespec="seconds"), "queue": name, **row}))
            else:
                print_line(
                    f"{time:%H:%M:%S} {name}: " + ", ".join(f"{n} {state}" for state, n in row.items())
                )
        self._before = counts
        sys.stdout.flush()

    def away(self, text: str) -> None:
        note(text)

    def end(self) -> None:
        pass


class _Table(_Lines):
    """A table that is drawn anew in its place."""

    def __init__(self) -> None:
        from rich.live import Live

        super().__init__(as_json=False)
        self._live = Live(console=console_of(sys.stdout), auto_refresh=False)
        self._live.start()

    def show(self, counts: Counts) -> None:
        self._draw(counts)
        self._before = counts

    def away(self, text: str) -> None:
        self._draw(self._before, text)

    def end(self) -> None:
        self._live.stop()

    def _draw(self, counts: Counts, caption: str = "Ctrl-C to stop") -> None:
        from rich.table import Table
        from rich.text import Text

        from toril.observability.logging import harmless

        states: Sequence[Any] = list(next(iter(counts.values()), {}))
        table = Table(box=None, pad_edge=False, header_style="bold", caption=Text(harmless(caption)))
        table.add_column("queue")
        for state in states:
            table.add_column(state, justify="right")
        for name, row in counts.items():
            table.add_row(Text(harmless(name)), *(f"{row[state]:,}" for state in states))
        self._live.update(table, refresh=True)
