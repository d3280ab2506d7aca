"""A lock between the processes of one machine, which the system takes back when its holder dies."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

#: Seconds between two looks whether it is free.
_LOOK_AGAIN: Final = 0.1


@asynccontextmanager
async def locked_file(path: Path) -> AsyncIterator[None]:
    """Hold the lock for the time of the block. The file stays: one that is removed would let two hold it."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOOK_AGAIN)
        yield
    finally:
        os.close(opened)
