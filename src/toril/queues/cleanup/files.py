"""Old files of a folder: found and deleted without ever leaving it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

#: ``app.log.1``, ``app.log.2026-01-31``, ``app-2026-01-31.log.gz`` and the like, but never a log being written.
_ROTATED = re.compile(
    r".*\.log[._-][\w.-]+|.*[._-]\d{4}-?\d{2}-?\d{2}[\w.-]*\.log(\.(gz|zst|bz2|xz))?|.*\.log\.(gz|zst|bz2|xz)"
)


def is_rotated_log(path: str) -> bool:
    """Whether a file's name is that of a log that has been put aside."""
    return _ROTATED.fullmatch(path.rpartition("/")[2]) is not None


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
    folder: Path,
    *,
    before: float,
    dry_run: bool,
    wanted: Callable[[str], bool] = lambda path: True,
    droppable: Callable[[str], bool] = lambda name: True,
) -> Swept:
    """Delete files under ``folder`` last written before ``before`` (seconds since the epoch), and folders left empty.

    Args:
        wanted: whether a file may go, by its path within the folder, with slashes.
        droppable: whether a folder that is empty may go, by its name.

    Links are not followed, and not deleted either: what they lead to is not ours, and neither is what is mounted
    inside. A file that somebody else removes meanwhile is left alone.
    """
    swept = Swept()
    top = Path(os.path.realpath(folder))
    if not top.is_dir():
        return swept
    device = top.stat().st_dev
    # By open folders rather than paths: somebody could put a link in a folder's place meanwhile.
    for path, folders, names, opened in os.fwalk(top, topdown=False, follow_symlinks=False):
        if os.fstat(opened).st_dev != device:
            continue
        inside = Path(path).relative_to(top)
        for name in names:
            if wanted((inside / name).as_posix()):
                _take(name, opened, swept, before=before, dry_run=dry_run)
        if not dry_run:
            _drop_empty([name for name in folders if droppable(name)], opened, before)
    return swept


def _take(name: str, opened: int, swept: Swept, *, before: float, dry_run: bool) -> None:
    """Count a file of an open folder if it has had its time, and delete it."""
    try:
        found = os.lstat(name, dir_fd=opened)
    except OSError:
        return
    if not stat.S_ISREG(found.st_mode) or found.st_mtime >= before:
        return
    swept.found += 1
    swept.size += found.st_size
    if dry_run:
        return
    try:
        os.unlink(name, dir_fd=opened)
        swept.deleted += 1
    except FileNotFoundError:
        pass
    except OSError as error:
        if len(swept.failed) < 20:
            swept.failed.append(f"{name}: {error.strerror}")


def _drop_empty(folders: list[str], opened: int, before: float) -> None:
    for name in folders:
        with suppress(OSError):  # a link, not empty, or gone
            if os.lstat(name, dir_fd=opened).st_mtime < before:
                os.rmdir(name, dir_fd=opened)
