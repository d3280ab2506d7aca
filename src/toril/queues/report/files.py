"""From a draft to the one file of a job: written aside, then put in its place in one step.

A job has a file name of its own, made from what names the job for ever. So one that runs again, after a crash in
whatever moment, replaces what it made before and leaves nothing else behind.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from toril.errors import RetryableError
from toril.queues.private_files import make_private_folders
from toril.queues.storage import FileStore, LocalFileStore, StoredFile


def folder_of(type: str) -> str:
    """Where the files of a type's jobs are, below the firm's folder."""
    return "exports" if type == "data-export" else "reports"


@runtime_checkable
class TakesFiles(Protocol):
    """A file store that takes a finished file from this machine's disk, however large.

    A file of the same name is replaced.
    """

    async def save_file(self, *, firm_id: str, folder: str, name: str, source: Path) -> StoredFile: ...


class DraftTakenError(RetryableError):
    """Another run of the same job has begun, and removed what this one wrote."""

    code = "draft_taken"


class ReportFiles:
    """Drafts and finished files of reports, in a file store's folder ``folder``."""

    def __init__(self, store: FileStore, folder: str) -> None:
        self.store, self.folder = store, folder

    @asynccontextmanager
    async def draft(self, *, firm_id: str, key: str) -> AsyncIterator[Path]:
        """A folder for this run to write in, removed at the end.

        Args:
            key: names the job. Folders that former runs of it left, when they were killed, are removed first.
        """
        folder = await asyncio.to_thread(self._open, firm_id, key)
        try:
            yield folder
        finally:
            # Not in a thread: when the task was cancelled there is no waiting any more.
            shutil.rmtree(folder, ignore_errors=True)

    async def remove_drafts(self, *, firm_id: str, key: str) -> None:
        """Remove what runs of a job left that nobody goes on with."""
        await asyncio.to_thread(self._remove, self._parent(firm_id), key)

    async def publish(self, draft: Path, *, firm_id: str, name: str) -> StoredFile:
        """Put a finished file in its place.

        Raises:
            DraftTakenError: it is gone, as another run of the job took over.
        """
        try:
            if isinstance(self.store, LocalFileStore):
                return await asyncio.to_thread(
                    self._move, draft, self.store.root / firm_id / self.folder / name
                )
            if isinstance(self.store, TakesFiles):
                return await self.store.save_file(
                    firm_id=firm_id, folder=self.folder, name=name, source=draft
                )
            content = await asyncio.to_thread(draft.read_bytes)
        except FileNotFoundError as error:
            raise DraftTakenError(
                "another run of this job has begun, which makes the file instead"
            ) from error
        return await self.store.save(firm_id=firm_id, folder=self.folder, name=name, content=content)

    def _open(self, firm_id: str, key: str) -> Path:
        parent = self._parent(firm_id)
        make_private_folders(parent)
        self._remove(parent, key)
        folder = parent / f".report-{key}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        return folder

    def _parent(self, firm_id: str) -> Path:
        # Beside the finished files, so that the last step is a rename.
        if isinstance(self.store, LocalFileStore):
            return self.store.root / firm_id / self.folder
        return Path(tempfile.gettempdir())

    @staticmethod
    def _remove(parent: Path, key: str) -> None:
        for left in parent.glob(f".report-{key}-*"):
            shutil.rmtree(left, ignore_errors=True)

    @staticmethod
    def _move(draft: Path, target: Path) -> StoredFile:
        size = draft.stat().st_size
        with draft.open("rb") as file:
            os.fsync(file.fileno())  # the row that names it must not outlive it
        draft.chmod(0o600)
        os.replace(draft, target)
        return StoredFile(name=target.name, path=str(target), size=size)
