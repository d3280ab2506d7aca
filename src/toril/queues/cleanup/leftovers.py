"""What our own processes leave behind when they are killed: drafts of reports, half files, profiles of browsers."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from toril.queues.cleanup.files import Swept, sweep

#: Files that are written under a name of their own, and renamed when they are whole.
_PART: Final = re.compile(r"\.[0-9a-f]{16}\.part|.+\.[0-9a-f]{8}\.part")
#: Folders in which reports are written.
_DRAFT: Final = re.compile(r"\.report-[0-9a-f]+-[0-9a-f]{8}")
#: Folders in the system's folder for temporary files; a browser's names the process that started it.
_OURS: Final = re.compile(r"toril-(?P<what>chromium|fonts)-(?:(?P<pid>[0-9]+)-)?[0-9A-Za-z_]+")


def is_leftover(path: str) -> bool:
    """Whether a file is half of one, or in a report's draft, by its path."""
    *folders, name = path.split("/")
    return _PART.fullmatch(name) is not None or any(_DRAFT.fullmatch(folder) for folder in folders)


def is_draft(name: str) -> bool:
    """Whether a folder is one of a report's draft."""
    return _DRAFT.fullmatch(name) is not None


def sweep_leftovers(folder: Path, *, before: float, dry_run: bool) -> Swept:
    """Delete what was left among finished files, which stay, however old they are."""
    return sweep(folder, before=before, dry_run=dry_run, wanted=is_leftover, droppable=is_draft)


def sweep_temporary(folder: Path, *, before: float, dry_run: bool) -> Swept:
    """Delete our own folders in the system's folder for temporary files, each as a whole: those of this user in which
    nothing was written since, and whose process is gone."""
    swept = Swept()
    for left in _abandoned(folder, before):
        sizes = [found.st_size for found in _inside(left)]
        swept.found += 1
        swept.size += sum(sizes)
        if dry_run:
            continue
        try:
            shutil.rmtree(left)
            swept.deleted += 1
        except OSError as error:
            if len(swept.failed) < 20:
                swept.failed.append(f"{left.name}: {error.strerror}")
    return swept


def _abandoned(folder: Path, before: float) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        ours = _OURS.fullmatch(entry.name)
        if ours is None and not is_draft(entry.name):
            continue
        path = Path(entry.path)
        try:
            if (
                not entry.is_dir(follow_symlinks=False)
                or entry.stat(follow_symlinks=False).st_uid != os.geteuid()
            ):
                continue
            newest = max(found.st_mtime for found in _inside(path))
        except OSError:
            continue
        pid = int(ours["pid"]) if ours and ours["pid"] else None
        if newest < before and not (pid and _runs(pid)):
            yield path


def _inside(folder: Path) -> list[os.stat_result]:
    """The folder itself, and all that is in it."""
    paths = [
        folder,
        *(Path(path, name) for path, folders, names in os.walk(folder) for name in (*folders, *names)),
    ]
    return [os.lstat(path) for path in paths]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
