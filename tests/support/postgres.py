"""A real PostgreSQL server for tests, in a folder of its own and on a unix socket."""

from __future__ import annotations

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import asyncpg

_USER = "toril"


def postgres_binaries() -> Path | None:
    """The folder with ``postgres`` and ``initdb``: of PATH, else the newest where Debian keeps them."""
    if (found := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(found).parent
    folders = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(folders, key=lambda path: int(path.parts[-3]), default=None)
    return newest.parent if newest else None


class PostgresServer:
    """One server process. Its data are not worth saving, so it never waits for the disk.

    It refuses to run as root; then it is run as ``postgres`` or ``nobody``.

    Raises:
        RuntimeError: on construction, when there is no server here; on start, with its log, when it fails.
    """

    def __init__(self) -> None:
        binaries = postgres_binaries()
        if binaries is None:
            raise RuntimeError("no PostgreSQL here: install your system's package postgresql")
        self._binaries = binaries
        # Not pytest's tmp_path: a socket's path must stay under some 100 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="toril-postgres-"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            who = _somebody()
            os.chown(self.folder, who.pw_uid, who.pw_gid)
            self._as = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def url(self, database: str = "postgres") -> str:
        """Address of one database for ``Database``."""
        return f"postgresql://{_USER}@/{database}?host={self.folder}"

    @property
    def log(self) -> str:
        """What the server wrote."""
        path = self.folder / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, *, within_s: float = 30.0) -> Self:
        """Start, and return once it takes connections; with the data of a former run."""
        if not (self.folder / "data").exists():
            options = ["-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
            self._run("initdb", "-D", "data", *options)
        settings = ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=16MB"]
        flags = [part for setting in ("listen_addresses=", *settings) for part in ("-c", setting)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", "data", "-k", self.folder, *flags],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as,
            )
        until_mono = time.monotonic() + within_s
        while time.monotonic() < until_mono and self._process.poll() is None:
            if self._process_ready():
                return self
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL did not start within {within_s} s; its log ends:\n{self.log[-2000:]}")

    def stop(self) -> None:
        """End the process, cutting all connections. Data stay."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)  # a "fast" shutdown
            process.wait(30)

    def close(self) -> None:
        """Stop, and remove all data. Twice is once."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    async def execute(self, statement: str) -> None:
        """Run one statement, outside of any transaction."""
        connection = await asyncpg.connect(host=str(self.folder), user=_USER, database="postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _process_ready(self) -> bool:
        # The last line of its file says how the server is, once it has written it all.
        pid_file = self.folder / "data" / "postmaster.pid"
        return pid_file.exists() and pid_file.read_text().rstrip().endswith("ready")

    def _run(self, binary: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / binary, *arguments], cwd=self.folder, capture_output=True, text=True, **self._as
        )
        if done.returncode:
            raise RuntimeError(f"{binary} failed:\n{done.stdout}\n{done.stderr}")

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)


def _somebody() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody")
