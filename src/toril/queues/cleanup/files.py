"""Old files of a folder: found and deleted without ever leaving it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: ``app.log.1``, ``app.log.2026-01-31``, ``app-2026-01-31.log.gz`` and the like, but never a log being written.
_ROTATED = re.compile(
    r".*\.log[._-][\w.-]+|.*[._-]\d{4}-?\d{2}-?\d{2}[\w.-]*\.log(\.(gz|zst|bz2|xz))?|.*\.log\.(gz|zst|bz2|xz)"
)


def is_rotated_log(name: str) -> bool:
    """Whether a file's name is that of a log that has been put aside."""
    return _ROTATED.fullmatch(name) is not None


@dataclass(slots=True)
class Swept:
    """What a sweep found and did.

    Attributes:
        size: bytes of the files that were found.
        failed: files that could not be deleted, with the reason; at most the first twenty.
    """

    found: int = 0
    deleted: int = 0
    size: int = 0
    failed: list[str] = field(default_factory=list)


def sweep(
    folder: Path, *, before: float, dry_run: bool, wanted: Callable[[str], bool] = lambda name: True
) -> Swept:
    """Delete files under ``folder`` last written before ``before`` (seconds since the epoch), and folders left empty.

    Links are not followed, and not deleted either: what they lead to is not ours. A file that is written to or
    removed by somebody else meanwhile is left alone.
    """
    swept = Swept()
    for path in _files(folder):
        try:
            found = path.lstat()
        except OSError:
            continue
        if not stat.S_ISREG(found.st_mode) or found.st_mtime >= before or not wanted(path.name):
            continue
        swept.found += 1
        swept.size += found.st_size
        if dry_run:
            continue
        try:
            path.unlink()
            swept.deleted += 1
        except FileNotFoundError:
            continue
        except OSError as error:
            if len(swept.failed) < 20:
                swept.failed.append(f"{path.name}: {error.strerror}")
    if not dry_run:
        _drop_empty(folder, before)
    return swept


def _files(folder: Path) -> Iterator[Path]:
    for directory, folders, names in os.walk(folder, followlinks=False):
        # A mount or a link inside the folder is somebody else's.
        folders[:] = [name for name in folders if not Path(directory, name).is_symlink()]
        for name in names:
            yield Path(directory, name)


def _drop_empty(folder: Path, before: float) -> None:
    for directory, _, _ in os.walk(folder, topdown=False, followlinks=False):
        path = Path(directory)
        if path == folder:
            continue
        try:
            if path.lstat().st_mtime < before:
                path.rmdir()
        except OSError:
            continue  # not empty, or gone
