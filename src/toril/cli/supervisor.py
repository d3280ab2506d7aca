"""``--processes N``: starts processes, watches them, and starts again those that die."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Sequence

from toril.cli.exits import ExitCode
from toril.cli.stop import StopRequests
from toril.engine.stop_deadline import HURRY_S, MARGIN_S

log = logging.getLogger("toril.cli")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds before a process is started again
_KILLED_AFTER = 4.0  #: seconds after the moment at which a process ends by itself
_STEADY = 60.0  #: seconds of life after which a death counts as the first again


class Supervisor:
    """Keeps processes running until it is asked to stop.

    Each child has a process group of its own, so that Ctrl-C on a terminal reaches it once, through us. It
    shares a socket with us: it says there when it is ready, and sees there when we are gone.

    Args:
        processes: for each, what follows ``toril worker`` (or another ``command``).
        grace: seconds that their jobs get after a stop. They end by themselves soon after it; one that has not then,
            perhaps since it is frozen, is killed.
    """

    def __init__(self, processes: Sequence[Sequence[str]], *, grace: float, command: str = "worker") -> None:
        self._commands = [[sys.executable, "-m", "toril", command, *each] for each in processes]
        self._grace = grace
        self._running: set[asyncio.subprocess.Process] = set()
        self._requests = StopRequests(self._forward)
        self._failure: int | None = None  # a process that could not start at all

    async def run(self) -> int:
        """Returns the exit code: of a process that could not start, else 0, or 130 after a second signal."""
        with self._requests.listening():
            log.info("supervisor_started", extra={"pid": os.getpid(), "processes": len(self._commands)})
            endings = await asyncio.gather(*map(self._keep, self._commands))
        if self._failure is not None:
            return self._failure
        if self._requests.urgent:
            return ExitCode.INTERRUPTED
        # One that was asked before it could listen ends by the signal itself.
        return ExitCode.FAILED if set(endings) - {0, -signal.SIGTERM} else ExitCode.DONE

    async def _keep(self, command: list[str]) -> int:
        """Keep one process running; returns the last one's exit status once all is to stop."""
        pause, was_ready = _FIRST_PAUSE, False
        while True:
            born = time.monotonic()
            status, ready = await self._run_one(command)
            if self._requests.count:
                return status
            if not (was_ready := was_ready or ready):
                # Wrong arguments, or no server: the process has said so, and another would only repeat it.
                self._failure = status if status > 0 else ExitCode.FAILED
                self._requests.ask()
                return status
            if time.monotonic() - born > _STEADY:
                pause = _FIRST_PAUSE
            wait = pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
            log.warning(
                "process_died: it is started again", extra={"status": status, "wait_s": round(wait, 1)}
            )
            pause = min(pause * 2, _LONGEST_PAUSE)
            try:
                await asyncio.wait_for(self._requests.wait(1), wait)
                return status
            except TimeoutError:
                continue

    async def _run_one(self, command: list[str]) -> tuple[int, bool]:
        """Start a process and wait for its end: its status (negative: a signal), and whether it got ready."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    "--supervisor",
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    process_group=0,
                )
            self._running.add(process)
            try:
                for _ in range(self._requests.count):  # asked to stop while it was being made
                    process.send_signal(signal.SIGTERM)
                status = await process.wait()
            finally:
                self._running.discard(process)
            ours.setblocking(False)
            try:
                return status, bool(ours.recv(1))
            except (BlockingIOError, ConnectionError):
                return status, False

    def _forward(self, count: int) -> None:
        if count < 3:
            asyncio.get_running_loop().call_later(
                (self._grace + MARGIN_S if count == 1 else HURRY_S) + _KILLED_AFTER, self._kill
            )
        for process in self._running:
            process.send_signal(signal.SIGTERM if count < 3 else signal.SIGKILL)

    def _kill(self) -> None:
        for process in self._running:
            log.error("process_killed: it had not ended in time", extra={"child": process.pid})
            process.kill()
