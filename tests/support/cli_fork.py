"""A process that has all imported that commands need, and forks for each: the real command line, without the imports.

``ForkServer`` is the side of the tests; ``python -m tests.support.cli_fork`` is the process. Each call has a pair of
sockets, on which the process sends the pid of the command, and its exit code.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

#: What most commands load, some only when they run.
_LOADED = ("aiosqlite", "alembic.command", "asyncpg", "httpx", "toril.installation", "toril.web.app")


class ForkServer:
    """The process, started when it is first needed, and ended with this one."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None

    async def run(
        self,
        arguments: tuple[str, ...],
        *,
        folder: Path,
        environment: dict[str, str],
        stdio: tuple[int, int, int],
    ) -> int:
        """Run a command with these descriptors as its input, output and errors; returns its exit code.

        A command that is waited for no longer is killed.
        """
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                socket.send_fds(self._process(), [b"!"], [theirs.fileno(), *stdio])
            call = {"arguments": arguments, "folder": str(folder), "environment": environment}
            ours.sendall(json.dumps(call).encode() + b"\n")
            ours.setblocking(False)
            pid = int(await _line(ours))
            try:
                return int(await _line(ours))
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise

    def _process(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair()
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.cli_fork", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    cwd=Path(__file__).parents[2],
                )
            atexit.register(_end, self._control, process)
        return self._control


def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    process.wait()


async def _line(connection: socket.socket) -> bytes:
    loop, line = asyncio.get_running_loop(), b""
    while not line.endswith(b"\n"):
        read = await loop.sock_recv(connection, 1)
        if not read:
            raise RuntimeError("the process that forks commands has ended")
        line += read
    return line


def serve(control: socket.socket) -> None:
    """Fork for each call, until nobody is there to call."""
    for each in _LOADED:
        importlib.import_module(each)
    import toril.cli

    for module in pkgutil.iter_modules(toril.cli.__path__):
        importlib.import_module(f"toril.cli.{module.name}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for the commands
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 4)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            _attend(socket.socket(fileno=descriptors[0]), descriptors[1:])
        for each in descriptors:
            os.close(each)


def _attend(connection: socket.socket, stdio: list[int]) -> None:
    """Start the command, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile("rb") as lines:
        call = json.loads(lines.readline())
    pid = os.fork()
    if pid == 0:
        connection.close()
        _command(call, stdio)
    connection.sendall(b"%d\n" % pid)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):  # nobody waits any more
        connection.sendall(b"%d\n" % code)
    os._exit(0)


def _command(call: dict[str, Any], stdio: list[int]) -> None:
    """Be the command, as ``python -m toril`` in that folder would be, to the end."""
    for number, descriptor in enumerate(stdio):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    time.tzset()
    sys.argv = ["toril", *call["arguments"]]
    sys.path[0] = call["folder"]
    code: Any = 1
    try:
        from toril.cli.main import main

        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
