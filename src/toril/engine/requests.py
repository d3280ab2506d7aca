"""Numbers the calls of one caller, so that one that is sent again can be told from a new one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush


class Requests:
    """Names calls for ``lua/includes/once.lua``.

    The server keeps the last answer of each slot. A call has a slot for itself until it has ended, so that there are
    as many answers as calls were ever under way at once.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._caller = uuid.uuid4().hex
        self._number = self._slots = 0
        self._free: list[int] = []

    @contextmanager
    def next(self) -> Iterator[str]:
        """The name of a call that is made now, and, if need be, again."""
        if self._process != os.getpid():  # a fork would go on with the numbers of its parent
            self._begin()
        if not self._free:
            heappush(self._free, self._slots)
            self._slots += 1
        caller, slot = self._caller, heappop(self._free)
        self._number += 1
        try:
            yield f"{caller}:{slot}:{self._number}"
        finally:
            if caller == self._caller:
                heappush(self._free, slot)
