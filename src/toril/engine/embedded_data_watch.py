"""Whether a running embedded server still writes where the next one will read.

A server keeps what it has open. When somebody deletes or moves its ``data/`` while it runs it goes on writing, to files
that have no name any more, or to those in another place, and says nothing; all is gone when it ends.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from toril.engine.embedded_line import ServerLine

log = logging.getLogger("toril.engine.embedded")

_MANIFEST = "appendonlydir/appendonly.aof.manifest"
_SINGLE_FILE = "appendonly.aof"  # before Redis 7


@dataclass(frozen=True, slots=True)
class Strayed:
    """The server works in another directory than the one in its home."""

    moved_to: str  #: where it is now, as the server sees it; empty if it was deleted


class DataWatch:
    """Looks after ``data/`` of one home for one process. The looks cost a few calls of the system, mostly."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._known: tuple[int, int, int] | None = (
            None  # the server, and the directory that it was seen to have
        )
        self._place = ""  # what the server calls it, which in a container is another path than ours
        self._missed = False

    def strayed(self, line: ServerLine) -> Strayed | None:
        """Whether the directory was deleted, moved or replaced under the server; None: it has the one it should."""
        found = self._identity(line)
        if found is not None and found == self._known:
            return None
        reply = line.ask("CONFIG", "GET", "dir")
        if not isinstance(reply, list) or len(reply) != 2:
            return None  # it has ended, or is too busy to answer: another time
        place = str(reply[1])  # empty when the directory is in no other one any more
        known_here = self._known is not None and self._known[0] == line.pid
        if (
            place
            and found is not None
            and (place == self._place if known_here else Path(place).name == self._data.name)
        ):
            self._known, self._place = found, place
            return None
        return Strayed(place)

    def mend_files(self, line: ServerLine) -> list[str]:
        """Have the server write its files again if some were deleted; returns which.

        Missing they must be at two looks: while they are written anew, the old ones go.
        """
        missing = self._missing()
        before, self._missed = self._missed, bool(missing)
        if not missing or not before:
            return []
        self._missed = False
        line.ask("BGREWRITEAOF")
        return missing

    def _identity(self, line: ServerLine) -> tuple[int, int, int] | None:
        try:
            found = self._data.stat()
        except FileNotFoundError:
            return None
        except OSError:  # it cannot be looked at now, which says nothing
            return self._known
        return line.pid, found.st_dev, found.st_ino

    def _missing(self) -> list[str]:
        """Files that a start would need."""
        manifest = self._data / _MANIFEST
        try:
            text = manifest.read_text(errors="replace")
        except FileNotFoundError:
            return [] if (self._data / _SINGLE_FILE).exists() else [_MANIFEST]
        except OSError:
            return []
        # Base and increments; those of the history ("h") are to be deleted.
        names = re.findall(r"^file (\S+) seq \d+ type [bi]", text, re.MULTILINE)
        return [name for name in names if not (manifest.parent / name).exists()]


def end_strayed(home: Path, line: ServerLine, strayed: Strayed) -> None:
    """Say what becomes of the jobs, and end the server, whose successor has a directory where it belongs."""
    facts = {"home": str(home), "pid": line.pid, "unfinished_jobs": line.unfinished()}
    if strayed.moved_to:
        log.error(
            "embedded_data_moved: the jobs are in %s; to have them back, stop all workers and move it to %s",
            strayed.moved_to,
            home / "data",
            extra={**facts, "moved_to": strayed.moved_to},
        )
    else:
        log.error(
            "embedded_data_deleted: the server had nowhere to write, so the jobs are lost, unless a copy of them is "
            "in %s by now; a new one begins with what is there",
            home / "data",
            extra=facts,
        )
    line.end_server()
    log.warning("embedded_server_ended: what it wrote would not be found again", extra=facts)
