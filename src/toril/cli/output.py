"""What commands write: JSON for machines, tables for people, and questions before something is deleted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from toril.cli.exits import CommandError, ExitCode
from toril.engine.job import Job
from toril.observability.logging import harmless
from toril.queues.redaction import redacted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

#: Columns of a table that goes into a pipe or file, where there is no edge.
_NO_EDGE = 10_000

#: Blanks behind each column.
_GAP = 2


def print_json(value: Any) -> None:
    """Write a value as indented JSON; what JSON has no word for is written as text."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_line(text: str) -> None:
    """Write a line; control characters in it are made visible."""
    typer.echo(harmless(text))


def note(text: str) -> None:
    """Tell something beside the answer, on standard error."""
    typer.echo(harmless(text), err=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[str] = ()
) -> None:
    """Write a table; on a terminal long cells are cut, so that each row is one line.

    Args:
        numbers: columns that are set to the right.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    # Text, not markup: a cell can hold what somebody sent.
    cells = [[Text(harmless(_cell(value)).replace("\n", " ")) for value in row] for row in rows]
    console = console_of(sys.stdout)
    natural = [
        max(map(cell_len, (name, *(row[place].plain for row in cells)))) for place, name in enumerate(columns)
    ]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for name, width in zip(columns, _fit(natural, console.width - _GAP * len(columns)), strict=True):
        right = name in numbers
        table.add_column(
            name, justify="right" if right else "left", width=width, no_wrap=True, overflow="ellipsis"
        )
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _fit(natural: Sequence[int], room: int) -> list[int]:
    """Widths of columns that fit into ``room``: the widest give way, so that the narrow ones stay whole."""
    left, widths = max(room, 0), list(natural)
    by_width = sorted(range(len(widths)), key=widths.__getitem__)
    for done, place in enumerate(by_width):
        widths[place] = max(min(widths[place], left // (len(widths) - done)), 1)
        left = max(left - widths[place], 0)
    return widths


def print_fields(rows: Iterable[tuple[str, Any]]) -> None:
    """Write names and values, one a line; further lines of a value are set under its first."""
    shown = [(name, harmless(_cell(value))) for name, value in rows if value not in (None, "", [])]
    width = max((len(name) for name, _ in shown), default=0)
    for name, text in shown:
        typer.echo(f"{name:<{width}}  " + text.replace("\n", "\n" + " " * (width + 2)))


def confirm(what: str, *, yes: bool, as_json: bool) -> None:
    """Say what will be touched and ask whether to go on, unless ``--yes`` was given.

    Raises:
        CommandError: the answer was no, or there is nobody to ask.
    """
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise CommandError(
            f"this would {what}", exit=ExitCode.USAGE, code="not_confirmed", hint="add --yes to go on"
        )
    note(f"This will {what}.")
    if not typer.confirm("Go on?", err=True):
        raise CommandError("nothing was changed", exit=ExitCode.FAILED, code="not_confirmed")


@contextmanager
def progress(*, as_json: bool) -> Iterator[Progress]:
    """A progress display on standard error, when that is a terminal and a person reads."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = console_of(sys.stderr)
    off = as_json or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=off) as display:
        yield display


def when(ms: float | None) -> str:
    """A moment in milliseconds since 1970, in local time."""
    if ms is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return str(ms)


def count(number: int, noun: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def console_of(stream: Any) -> Console:
    """Rich's console on a stream; a pipe or a file has no edge at which something would be cut."""
    from rich.console import Console

    return Console(file=stream, width=None if stream.isatty() else _NO_EDGE, highlight=False, soft_wrap=False)


def shown_job(queue: str, job: Job[Any]) -> dict[str, Any]:
    """A job in Bull's form, without its secrets."""
    return {**job.to_dict(), "data": redacted(queue, job.data)}
