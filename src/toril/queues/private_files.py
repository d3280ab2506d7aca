"""Files and folders that other users of the machine cannot read, whatever the umask."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def make_private_folders(folder: Path) -> None:
    """Make a folder and those above it that are missing, with mode 0700; ``mkdir`` gives parents another one."""
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


def create_private(path: Path) -> BinaryIO:
    """A new file with mode 0600, opened to be written.

    Raises:
        FileExistsError: there is one.
    """
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
