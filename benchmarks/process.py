"""One process of a peer: start it, read its answers, end it."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from types import TracebackType
from typing import Any, Self

from benchmarks.registry import ROOT, Peer


class PeerError(Exception):
    """A peer failed or took too long; the message has its last words."""


class PeerProcess:
    """A command of the harness as a process that lives no longer than ``limit_s`` seconds."""

    def __init__(self, peer: Peer, *arguments: str | int, limit_s: float) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self._peer = peer
        self._limit_s = limit_s

    @property
    def pid(self) -> int:
        return self._process.pid

    def require_running(self) -> None:
        """Raise PeerError when the process has ended: a dead worker needs no memory and sends no commands."""
        if self._process.poll() is not None:
            self.answer()
            raise PeerError(f"{self._peer.name} {' '.join(self.arguments)} ended early")

    def answer(self) -> dict[str, Any]:
        """The process's next answer; raises PeerError when it ends without one."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # some peers greet on stdout
                return dict(json.loads(line))
        self._watchdog.cancel()
        status = self._process.wait()
        why = f"ended with status {status}" if not self._late else f"took more than {self._limit_s:.0f} s"
        self._errors.seek(0)
        said = self._errors.read()[-1500:].strip()
        raise PeerError(f"{self._peer.name} {' '.join(self.arguments)} {why}: {said}")

    def _expire(self) -> None:
        self._late = True
        self._process.kill()

    def __enter__(self) -> Self:
        if reason := self._peer.missing():
            raise PeerError(f"{self._peer.name} is {reason}")
        self._late = False
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [*self._peer.command(), *self.arguments],
            cwd=ROOT,
            env=self._peer.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._watchdog = threading.Timer(self._limit_s, self._expire)
        self._watchdog.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.cancel()
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def call(peer: Peer, *arguments: str | int, limit_s: float) -> dict[str, Any]:
    """Run one command to its answer."""
    with PeerProcess(peer, *arguments, limit_s=limit_s) as process:
        return process.answer()


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and of all below it, as ``ps`` tells it; shared pages count for each."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,rss="], check=True, capture_output=True, text=True
    )
    rows = [tuple(map(int, line.split())) for line in listing.stdout.splitlines()]
    family = {pid}
    while grown := {child for child, parent, _ in rows if parent in family} - family:
        family |= grown
    return 1024 * sum(kib for process, _, kib in rows if process in family)
