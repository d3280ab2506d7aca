"""Tasks that run in child processes, which find them by name."""

from __future__ import annotations

from toril.engine.queue import Queue

queue = Queue("tasks-for-children", url="redis://127.0.0.1:1")


@queue.task(process=True)
def cube(n: int) -> int:
    """``n`` to the third."""
    return n**3
