"""One child process of a worker: started, given a call, killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from typing import Final, Self

from toril.engine.child_frames import BEGUN, ERROR, HEAD, JOB, RESULT, UP, frame

#: Seconds for an interpreter to start, and for a function's modules to be imported: far more than either takes.
UP_WITHIN_S = 60.0
FOUND_WITHIN_S = 300.0

_ENDS_WITHIN_S = 5.0
#: Seconds from the end of the process to the end of what it has written. Programs that it left behind may hold its
#: socket open for ever.
_READ_WITHIN_S = 1.0

#: Not `-m`, since the path of the worker must hold from the first import on, and only for this process.
_CODE: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from toril.engine.child_main import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)

#: Signals that come from outside: the kernel short of memory, an operator. A process gets others for its own faults.
_FROM_OUTSIDE: Final = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class ChildLost(Exception):
    """A child process ended, or let its time pass, before it had answered.

    Attributes:
        own_fault: whether what it ran did that, rather than somebody from outside.
    """

    def __init__(self, text: str, *, own_fault: bool = False) -> None:
        super().__init__(text)
        self.own_fault = own_fault


class ChildProcess:
    """A process that runs one call at a time. Make one with ``start``."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self._exited = asyncio.create_task(process.wait(), name="toril-child-exit")
        self._exited.add_done_callback(self._no_more)
        self._killed = False

    @classmethod
    async def start(cls) -> Self:
        """A new one that waits for work.

        Raises:
            ChildLost: it could not be started.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-c", _CODE, str(theirs.fileno()), str(os.getpid()), _path()),
                    stdin=DEVNULL,
                    pass_fds=[theirs.fileno()],  # and nothing else of ours
                )
            reader, writer = await asyncio.open_unix_connection(sock=ours)
        except OSError as error:
            ours.close()
            raise ChildLost(f"could not be started: {error}") from error
        except BaseException:
            ours.close()
            raise
        child = cls(process, reader, writer)
        try:
            async with asyncio.timeout(UP_WITHIN_S):
                kind, _ = await child._receive()
            if kind != UP:
                raise ChildLost(f"began with a frame of kind {kind}")
        except TimeoutError:
            await child.end()
            raise ChildLost(f"was not up within {UP_WITHIN_S:g} s") from None
        except BaseException:
            await child.end()
            raise
        return child

    @property
    def is_alive(self) -> bool:
        """Whether it can be given a call, as far as is known."""
        return self._process.returncode is None and not self._killed and not self._reader.at_eof()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ask(self, request: bytes, begun: Callable[[], None]) -> tuple[bool, bytes]:
        """Let it run a call: whether it returned, and the JSON of its result or its error.

        Args:
            begun: called when the function is called.

        Raises:
            ChildLost: the process ended first.
        """
        started = False
        try:
            self._writer.write(frame(JOB, request))
            await self._writer.drain()
            async with asyncio.timeout(FOUND_WITHIN_S):
                kind, body = await self._receive()
            if kind == BEGUN:
                started = True
                begun()
                kind, body = await self._receive()
        except TimeoutError:
            raise ChildLost(
                f"had not found its function within {FOUND_WITHIN_S:g} s", own_fault=True
            ) from None
        except OSError as error:
            raise await self._how_it_ended(str(error), started) from error
        except ChildLost as lost:
            raise await self._how_it_ended(str(lost), started) from None
        if kind not in (RESULT, ERROR):
            raise ChildLost(f"answered with a frame of kind {kind}", own_fault=True)
        return kind == RESULT, body

    def kill(self) -> None:
        """End it now, with the programs that it has started."""
        self._killed = True
        if self._process.returncode is not None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # it has no group of its own yet; macOS: it has ended
            try:
                self._process.kill()
            except ProcessLookupError:
                pass

    async def end(self) -> None:
        """Kill it, and let the system forget it."""
        self.kill()
        await asyncio.wait({self._exited}, timeout=_ENDS_WITHIN_S)
        self._writer.close()

    async def _receive(self) -> tuple[int, bytes]:
        try:
            kind, size = HEAD.unpack(await self._reader.readexactly(HEAD.size))
            return kind, await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise ChildLost("closed its connection to the worker") from error

    def _no_more(self, _: asyncio.Task[int]) -> None:
        asyncio.get_running_loop().call_later(_READ_WITHIN_S, self._reader.feed_eof)

    async def _how_it_ended(self, text: str, begun: bool) -> ChildLost:
        await asyncio.wait({self._exited}, timeout=_ENDS_WITHIN_S)
        if not self._exited.done():
            return ChildLost(text, own_fault=begun)
        code = self._exited.result()
        name = f" ({signal.Signals(-code).name})" if -code in set(signal.Signals) else ""
        return ChildLost(f"ended with exit code {code}{name}", own_fault=begun and -code not in _FROM_OUTSIDE)


def _path() -> str:
    """Where this process finds modules, for one that may begin in another folder."""
    try:
        here = os.getcwd()
    except OSError:  # it has been deleted
        here = ""
    return json.dumps([each or here for each in sys.path if isinstance(each, str)])
