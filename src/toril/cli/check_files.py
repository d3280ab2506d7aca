"""The doctor's look at where files are kept: it writes one, reads it and deletes it."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from toril.cli.finding import Finding
from toril.errors import TorilError
from toril.settings import Settings

T = TypeVar("T")

#: Bytes left on a disk from which on downwards it is worth a word.
_LITTLE = 500_000_000


async def check_files(settings: Settings) -> AsyncIterator[Finding]:
    """Whether files can be kept; each folder in a thread of its own, as a disk in the network may be gone."""
    folders = {
        "TORIL_HOME": settings.home,
        "TORIL_FILES": settings.files_path,
        "TORIL_OUTBOX": settings.outbox_path,
    }
    for variable, folder in folders.items():
        if isinstance(folder, Path):
            yield await _in_thread(lambda variable=variable, folder=folder: _probe(variable, folder))  # type: ignore[misc]
        else:
            yield await _bucket(settings, folder)


def _probe(variable: str, folder: Path) -> Finding:
    place = folder.resolve()
    there = next(each for each in (place, *place.parents) if each.exists())
    hint = f"set {variable} to a folder of your own, with room on its disk"
    if not there.is_dir():
        return Finding(level="wrong", about=variable, text=f"{place}: {there} is not a folder", hint=hint)
    try:
        _write_and_read(there)
        left = shutil.disk_usage(there).free
    except OSError as error:
        why = error.strerror or str(error)
        text = f"{place}: no file can be written in {there}: {why}"
        return Finding(level="wrong", about=variable, text=text, hint=hint)
    text = str(place) if there == place else f"{place}, which will be made when it is needed"
    if left < _LITTLE:
        text += f"; {left / 1e6:,.0f} MB are left on its disk"
        return Finding(
            level="warning",
            about=variable,
            text=text,
            hint="make room: see toril clean, and the queue cleanup",
        )
    return Finding(level="ok", about=variable, text=text)


def _write_and_read(folder: Path) -> None:
    content = secrets.token_bytes(4096)
    number, name = tempfile.mkstemp(prefix=".toril-check-", dir=folder)
    try:
        with open(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if Path(name).read_bytes() != content:
            raise OSError("what is read is not what was written")
    finally:
        os.unlink(name)


async def _bucket(settings: Settings, location: str) -> Finding:
    from toril.installation import file_store

    try:
        store = file_store(settings)
        await store.check()  # type: ignore[attr-defined]
    except (TorilError, ModuleNotFoundError) as error:
        hint = "check TORIL_FILES and the settings that begin with TORIL_S3"
        return Finding(level="wrong", about="TORIL_FILES", text=f"{location}: {error}", hint=hint)
    return Finding(level="ok", about="TORIL_FILES", text=f"files go to {location}")


async def _in_thread(do: Callable[[], T]) -> T:
    """What ``do`` returns, from a thread that holds up neither us nor the end of the process when it hangs."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error) if error is not None else done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result: T | None = do()
            error: BaseException | None = None
        except BaseException as raised:
            result, error = None, raised
        loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=run, daemon=True, name="toril-doctor").start()
    return await done
