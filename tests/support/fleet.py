"""Worker processes, and what their ledgers tell when all is over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.processes import ROOT

#: What the log says of a job that is run once more, or of a run that did not count.
REASONS = frozenset({"stalled", "lock_lost", "outcome_not_stored", "job_taken_again", "lost_moves_put_back"})


@dataclass(frozen=True, slots=True)
class Note:
    """A line of a ledger."""

    pid: int
    what: str  #: ``begin`` or ``end`` of a run, ``blocked``, ``unblocked``
    job_id: str


class Fleet:
    """Worker processes of one queue; those that still run are killed at the end.

    Args:
        folder: for ledgers and logs.
        block: seconds for which SIGUSR1 blocks a process's event loop.
    """

    def __init__(self, queue: str, folder: Path, *, block: float = 0.0) -> None:
        self._queue, self.folder, self._block = queue, folder, block
        self.processes: list[asyncio.subprocess.Process] = []

    async def start(self, url: str, **options: Any) -> asyncio.subprocess.Process:
        """One more process, which is ready."""
        settings = {
            "url": url,
            "queue": self._queue,
            "folder": str(self.folder),
            "block": self._block,
            "options": options,
        }
        with (self.folder / "errors").open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.support.fleet_main", json.dumps(settings)),
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        self.processes.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n", (self.folder / "errors").read_text()
        return process

    async def stop(self, *, within_s: float = 60.0) -> None:
        """Ask all to end, and see that they do so well."""
        alive = [process for process in self.processes if process.returncode is None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(within_s):
            codes = [await process.wait() for process in alive]
        assert codes == [0] * len(alive), (self.folder / "errors").read_text()

    def notes(self, pid: int | None = None) -> list[Note]:
        """The ledgers, each in its order."""
        return [
            Note(int(path.stem), *row)
            for path in sorted(self.folder.glob("*.runs"))
            for row in _rows(path)
            if pid in (None, int(path.stem))
        ]

    def runs(self) -> Counter[str]:
        """How often each job was begun."""
        return Counter(note.job_id for note in self.notes() if note.what == "begin")

    def begun_by(self, job_id: str) -> list[int]:
        """The processes that began a job; of different processes in no order."""
        return [note.pid for note in self.notes() if (note.what, note.job_id) == ("begin", job_id)]

    def at_once(self) -> list[Note]:
        """Runs that were begun while the same process still ran the same job."""
        going: Counter[tuple[int, str]] = Counter()
        found = []
        for note in self.notes():
            key = (note.pid, note.job_id)
            if note.what == "begin" and going[key]:
                found.append(note)
            going[key] += {"begin": 1, "end": -1}.get(note.what, 0)
        return found

    def log(self) -> list[dict[str, Any]]:
        """What all processes logged."""
        return [row for path in sorted(self.folder.glob("*.log")) for row in _rows(path)]

    def said(self, job_id: str) -> set[str]:
        """The events that were logged of a job."""
        return {row["event"] for row in self.log() if job_id in row["job_ids"]}

    def reasons(self) -> dict[str, set[str]]:
        """Why jobs were run again, or runs did not count."""
        found: dict[str, set[str]] = {}
        for row in self.log():
            if row["event"] in REASONS:
                for job_id in row["job_ids"]:
                    found.setdefault(job_id, set()).add(row["event"])
        return found

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()


def _rows(path: Path) -> Iterator[Any]:
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):  # the last one may be half written
            yield json.loads(line)
