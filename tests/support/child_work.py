"""Functions for child processes: they must be importable there."""

from __future__ import annotations

import threading
from typing import Any


def square(job: Any) -> int:
    """``n`` squared."""
    n: int = job.data["n"]
    return n * n


def hang(job: Any) -> None:
    """Never returns."""
    threading.Event().wait()


def run_dry(job: Any) -> Any:
    """Raises what cannot be set as the error of a future."""
    return next(iter(()))


class UnreadableError(Exception):
    """Cannot be made again from its arguments, which is what reading it in another process does."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first}, {second}")


def fail_unreadably(job: Any) -> None:
    """Raises an error that travels and cannot be unpacked."""
    raise UnreadableError("two", "words")


def return_a_lock(job: Any) -> Any:
    """Returns what cannot travel to another process."""
    return threading.Lock()
