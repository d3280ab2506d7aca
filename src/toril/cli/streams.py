"""The standard streams of a command: closed by whoever started it, full, or with nobody left to read them."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import typer

from toril.cli.exits import Ending, ExitCode

log = logging.getLogger("toril.cli")


def replace_missing() -> None:
    """Put the null device where a stream was closed before we began.

    Otherwise the next file or socket would get its number, and whatever a library or a child process writes to
    "standard output" would go into that.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            if null != number:
                os.close(null)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115 - for good


def announce(lines: Iterable[str]) -> None:
    """Tell that something runs. That nobody can be told is no reason for it not to run."""
    from toril.observability.logging import harmless  # not for --help, which is to be quick

    try:
        for line in lines:
            typer.echo(harmless(line))
        sys.stdout.flush()
    except OSError as error:
        log.warning("output_not_written: standard output cannot be written (%s), which stops nothing", error)
        _discard(sys.stdout)


def unwritten() -> Ending | None:
    """How a command ends whose answer cannot be written; None if it can. What could not be written is dropped."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _discard(sys.stdout)
        if error.errno == errno.EPIPE:  # whoever read it has read enough
            return Ending(ExitCode.FAILED, "output_not_read", "")
        return Ending(
            ExitCode.FAILED,
            "output_not_written",
            f"the answer cannot be written to standard output: {error.strerror or error}",
            "is the disk full?",
        )
    return None


def flush_or_drop() -> None:
    """Write out what can be, so that the interpreter does not stumble over the rest when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _discard(stream)


def _discard(stream: Any) -> None:
    """Let all that is written from now on, and what waits in the buffer, go nowhere."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
