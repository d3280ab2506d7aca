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
