"""Which processes ``toril serve`` runs, and which queues each of them works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from toril.cli.exits import CommandError, ExitCode

#: More than this is a slip of the pen.
_MOST: Final = 256


def read_numbers(option: str, rows: Sequence[str]) -> dict[str, int]:
    """What an option says of each queue: ``QUEUE=N``.

    Raises:
        CommandError: a row says something else.
    """
    numbers = {}
    for row in rows:
        name, _, number = row.partition("=")
        if not name or not number.isdecimal() or int(number) < 1:
            raise CommandError(
                f"{option} {row!r} is not QUEUE=N with N of at least 1", exit=ExitCode.USAGE, code="usage"
            )
        numbers[name] = int(number)
    return numbers


def plan_processes(rows: Sequence[str], only: Sequence[str], skip: Sequence[str] = ()) -> list[list[str]]:
    """The options of each process that works queues; one without any, when all of them fit in one.

    Args:
        rows: ``N`` for the queues in general, and ``QUEUE=N`` for those that have processes of their own.
        only: the queues that are to be worked; none is all.
        skip: queues that are not.

    Raises:
        CommandError: a row says something else, or names a queue that is not worked.
    """
    plain = [row for row in rows if row.isdecimal()]
    own = read_numbers("--processes", [row for row in rows if not row.isdecimal()])
    general = int(plain[-1]) if plain else 1
    if general < 1 or general + sum(own.values()) > _MOST:
        raise _usage(
            f"--processes asks for {general + sum(own.values())} processes; 1 to {_MOST} are possible"
        )
    if only and skip:
        raise _usage("give --only or --skip, not both")
    if strange := [name for name in own if (only and name not in only) or name in skip]:
        raise _usage(f"--processes {strange[0]}=… is about a queue that --only or --skip leaves out")
    rest = [name for name in only if name not in own]
    shared: list[list[str]] = []
    if rest or not only:
        options = _each("--only", rest) if only else _each("--skip", [*skip, *own])
        shared = [options] * general
    return [*shared, *(["--only", name] for name, count in own.items() for _ in range(count))]


def _each(option: str, names: Sequence[str]) -> list[str]:
    return [part for name in names for part in (option, name)]


def _usage(text: str) -> CommandError:
    return CommandError(text, exit=ExitCode.USAGE, code="usage")
