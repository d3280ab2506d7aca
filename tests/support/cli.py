"""The real command line, as a process: run to its end, or started, read, signalled and waited for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support.cli_fork import ForkServer
from tests.support.servers import free_port

#: Seconds for whatever a test waits for; far more than it takes, since test machines are busy.
WITHIN_S = 90.0

_fork_server = ForkServer()


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The error object of ``--json``."""
        error: dict[str, str] = json.loads(self.err)["error"]
        return error


@dataclass(frozen=True)
class Toril:
    """The command ``toril`` in a folder, with only these settings in its environment."""

    folder: Path
    settings: dict[str, str]

    async def __call__(
        self, *arguments: str, stdin: str = "", stdout: int | None = None, **settings: str
    ) -> Ended:
        """Run a command to its end; nobody sits at a keyboard.

        Args:
            stdout: descriptor of where its answer goes, if that is not to be read here.
        """
        with contextlib.ExitStack() as files:
            given, out, err = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            given.write(stdin.encode())
            given.seek(0)
            async with asyncio.timeout(WITHIN_S):
                code = await _fork_server.run(
                    arguments,
                    folder=self.folder,
                    environment=self._environment(settings),
                    stdio=(given.fileno(), out.fileno() if stdout is None else stdout, err.fileno()),
                )
            return Ended(code, _written(out), _written(err))

    @contextlib.asynccontextmanager
    async def running(
        self, *arguments: str, terminal: bool = False, **settings: str
    ) -> AsyncIterator[Running]:
        """A command that goes on; it is killed at the end if it still runs.

        Args:
            terminal: whether somebody sits at a keyboard, to be asked.
        """
        ours, theirs = pty.openpty() if terminal else (None, None)
        process = await self._start(
            arguments,
            settings,
            stdin=theirs or asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        running = Running(process, ours)
        try:
            yield running
        finally:
            running.kill_all()
            await process.communicate()
            for end in (ours, theirs):
                if end is not None:
                    os.close(end)

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        # None of the settings of whoever runs the tests may count.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        return {**kept, "PORT": str(free_port()), **self.settings, **settings, "COLUMNS": "100"}

    async def _start(self, arguments: tuple[str, ...], settings: dict[str, str], **more: Any) -> Any:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "toril",
            *arguments,
            cwd=self.folder,
            env=self._environment(settings),
            **more,
        )


def _written(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


class Running:
    """A command that goes on: its lines, its signals, its end."""

    def __init__(self, process: asyncio.subprocess.Process, keyboard: int | None = None) -> None:
        self._process, self._keyboard = process, keyboard
        self.lines: list[str] = []

    @property
    def worker_pids(self) -> list[int]:
        """Processes that have said that they work, in that order."""
        found = (re.match(r"worker (\d+): ", line) for line in self.lines)
        return [int(match[1]) for match in found if match]

    async def line(self, text: str) -> str:
        """The next line that holds ``text``."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(WITHIN_S):
                while raw := await self._process.stdout.readline():
                    self.lines.append(raw.decode().rstrip("\n"))
                    if text in self.lines[-1]:
                        return self.lines[-1]
        except TimeoutError:
            pass
        raise AssertionError(f"no line with {text!r}; it wrote:\n" + "\n".join(self.lines))

    async def lines_with(self, text: str, count: int) -> None:
        """Read until there have been so many lines that hold ``text``, those before included."""
        while sum(text in line for line in self.lines) < count:
            await self.line(text)

    def type(self, text: str) -> None:
        """Answer at the keyboard."""
        assert self._keyboard is not None
        os.write(self._keyboard, text.encode())

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def end(self) -> int:
        """Read to the end; the exit code."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            self.lines += (await self._process.stdout.read()).decode().splitlines()
            return await self._process.wait()

    def kill_all(self) -> None:
        """End it and the workers it started, if they still run."""
        for pid in {self._process.pid, *self.worker_pids} if self._process.returncode is None else set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
