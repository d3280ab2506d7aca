"""What passes between a worker and its child processes: frames of a kind, a length and bytes.

    worker                                child
      │ ◀───────────────────────────── UP   it has started, and waits for work
      │  JOB  pickled: the call ─────────▶  once for each job, never before the last has been answered
      │ ◀────────────────────────── BEGUN   its function has been found; it is being called from now on
      │ ◀── RESULT  JSON │ ERROR  JSON      how it ended

A call is pickled, since a function travels as the name under which both sides find it, and only the worker makes one.
What comes back is JSON: a value that can be pickled but not read again would otherwise fail in the worker.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

UP: Final = 1
JOB: Final = 2
BEGUN: Final = 3
RESULT: Final = 4
ERROR: Final = 5

HEAD: Final = struct.Struct(">BQ")  #: kind, bytes that follow


@dataclass(frozen=True, slots=True)
class ChildCall:
    """What a child is asked to do.

    Attributes:
        function: pickled, so that what fails in finding it is told apart from what fails in calling it.
        main: what the worker's ``__main__`` is, if the function is looked for there: a module's name, or a file.
        arguments: pickled; by name if ``spread``, else the one argument.
        limit: most bytes of JSON in the result.
    """

    function: bytes
    main: tuple[str | None, str | None] | None
    arguments: bytes
    spread: bool
    limit: int


@dataclass(frozen=True, slots=True)
class ChildJob:
    """The job as a function in a child process gets it: what can travel there."""

    id: str
    name: str
    data: Any
    opts: dict[str, Any]
    attempts_made: int
    timestamp: int | float | None


def frame(kind: int, body: bytes = b"") -> bytes:
    """A frame as it is sent."""
    return HEAD.pack(kind, len(body)) + body
