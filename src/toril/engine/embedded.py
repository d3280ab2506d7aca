"""The embedded server: a real Valkey, started by the first process that needs it and shared by all.

It lives in a home directory (``TORIL_HOME``, mode 700) and listens on a unix socket only:

    start.lock    held by whoever starts or stops the server, for as long as that takes
    users.lock    held, shared, by every process that uses the server; the last one to leave stops it
    server.lock   held by the server process itself
    server.sock   the socket; a link to it where the home's path is too long for a socket
    server.log, server.pid, data/

A process that is killed holds no lock any more, so it counts no longer; when the last user is killed, the
server goes on until its next user leaves. A forked child is no user until it calls ``acquire`` or
``ensure_running`` itself. ``docs/explanation/embedded-server.md`` tells the whole story.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toril.engine.embedded_data_watch import DataWatch, end_strayed
from toril.engine.embedded_line import ServerLine, place_of
from toril.engine.embedded_locks import FileLock
from toril.engine.embedded_process import POLL_S, START_S, STOP_S, Answer, ServerProcess, socket_url
from toril.errors import ConfigurationError, QueueUnavailableError, TorilError

log = logging.getLogger(__name__)

_TURN_S = START_S + 2 * STOP_S  # how long another process may take to start or stop the server

#: Seconds between two looks whether the home is still there.
WATCH_S = 2.0

_members: dict[str, _Member] = {}


class EmbeddedServer:
    """The server of one TORIL_HOME, shared by all processes on the machine. One object per ``acquire``."""

    def __init__(self, member: _Member, gone: Callable[[], None] | None = None) -> None:
        self._member, self._gone = member, gone
        self._released = False
        if gone is not None:
            member.gone_listeners.add(gone)

    @classmethod
    async def acquire(
        cls, home: Path | None = None, *, gone: Callable[[], None] | None = None
    ) -> EmbeddedServer:
        """Start the server of ``home``, or join it if it runs, and wait until its data is loaded.

        Args:
            home: the directory; without it ``$TORIL_HOME``, else ``./.toril``. Made if missing.
            gone: called in a thread when the home, or the data in it, was deleted or moved: connections lead to a
                server that no new user finds, or none. ``ensure_running`` leads to the one that takes its place.
        Raises:
            ServerNotFoundError: there is no server program on this machine.
            ConfigurationError: the home cannot be used.
            QueueUnavailableError: the server died at start, or does not answer.
        """
        member = _member_of(_home_path(home))
        # A plain future, not a task: asyncio.run() cancels tasks on its way out.
        entering = asyncio.get_running_loop().run_in_executor(None, member.enter)
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            # The thread cannot be interrupted. Let it end, then give back what nobody would release.
            await asyncio.wait({entering})
            if entering.exception() is None:
                await asyncio.to_thread(member.leave)
            raise
        return cls(member, gone)

    @property
    def home(self) -> Path:
        """The home directory, absolute."""
        return self._member.home

    @property
    def socket_path(self) -> Path:
        """Where the server listens; read it again after ``ensure_running``."""
        return self._member.socket_path

    @property
    def url(self) -> str:
        """The server's address for a Redis client, ``unix:///…``; read it again after ``ensure_running``."""
        return socket_url(self._member.socket_path)

    @property
    def pid(self) -> int:
        """The process id of the server, as of the last ``acquire`` or ``ensure_running``."""
        return self._member.server_pid

    async def ensure_running(self) -> None:
        """Start the server again if it died (with the same data), or join the one another process started.

        For a client that lost its connection; when the server is well this costs one question. Raises what
        ``acquire`` raises, and QueueUnavailableError after ``release``.
        """
        if self._released:
            raise QueueUnavailableError(
                f"the embedded server of {self.home} was released by this client: acquire it again"
            )
        member = _member_of(self.home)
        if member is self._member:
            await asyncio.to_thread(member.ensure)
        else:  # a fork of the process that acquired: become a user of our own
            await asyncio.to_thread(member.enter)
            self._member = member
            if self._gone is not None:
                member.gone_listeners.add(self._gone)

    async def release(self) -> None:
        """Leave. The last user, over all processes, stops the server and returns when it has ended.

        May be called twice. A server that will not stop is logged and left to its next user.
        """
        if self._released:
            return
        self._released = True
        if self._gone is not None:
            self._member.gone_listeners.discard(self._gone)
        if _member_of(self.home) is self._member:  # otherwise we are a fork, and never were a user
            await asyncio.to_thread(self._member.leave)


class _Member:
    """This process as a user of the server of one home. The methods block: call them in threads."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket_path = home / "server.sock"
        self.server_pid = 0
        self._process = ServerProcess(home)
        self._uses, self._socket_missed = 0, False
        self._users_lock: FileLock | None = None
        self._line: ServerLine | None = None
        self._data = DataWatch(home / "data")
        self._busy = threading.Lock()
        self._watcher: threading.Thread | None = None
        self.gone_listeners: set[Callable[[], None]] = set()

    def enter(self) -> None:
        """Count one more use in this process; have the server run."""
        with self._busy:
            try:
                self._have_it_run()
            except BaseException:
                if not self._uses:
                    self._drop_users_lock()
                raise
            self._uses += 1

    def ensure(self) -> None:
        """Have the server run."""
        with self._busy:
            self._have_it_run()

    def leave(self) -> None:
        """Count one use less; with the last one the process leaves the server."""
        with self._busy:
            self._uses -= 1
            if self._uses == 0:
                self._depart()

    def leave_at_exit(self) -> None:
        """Leave, whatever the count. A thread stuck in here must not keep the interpreter from ending."""
        if self._busy.acquire(timeout=STOP_S):
            try:
                self._depart()
            finally:
                self._busy.release()

    def _have_it_run(self) -> None:
        if self._is_user_here() and (answer := self._process.ask()) and not answer.loading:
            self._note(answer)
            return
        try:
            prepare_home(self.home)
            with self._turn():
                self._take_users_lock()
                answer = self._process.start()
            if answer.loading:  # outside the turn, so that others can join and wait as well
                answer = self._process.await_data()
        except TorilError:
            raise
        except OSError as exc:
            raise ConfigurationError(
                f"the embedded server cannot live in {self.home}: {exc}. Set TORIL_HOME to a directory of "
                "your own on a local disk, or REDIS_URL to a server that runs elsewhere."
            ) from exc
        self._note(answer)

    def _note(self, answer: Answer) -> None:
        self.server_pid = answer.pid
        self.socket_path = self._process.find_socket()
        if self._line is None or self._line.pid != answer.pid:
            self._hang_up()
            with suppress(OSError):  # it ended again: whoever needs it will notice
                self._line = ServerLine(self.socket_path, answer.pid)
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="toril-home-watch", daemon=True)
            self._watcher.start()

    def _depart(self) -> None:
        if self._users_lock is None:
            return
        try:
            # A home that was deleted under us may have been made anew by others: their server is not ours.
            if not self._users_lock.is_current():
                self._leave_the_gone()
                return
            with self._turn():
                if self._users_lock.own():
                    self._process.stop()
        except (TorilError, OSError) as exc:
            log.warning("embedded_server_not_stopped", extra={"home": str(self.home), "error": str(exc)})
        finally:
            self._drop_users_lock()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Be the only process that starts or stops the server of this home."""
        lock = FileLock(self.home / "start.lock")
        try:
            deadline = time.monotonic() + _TURN_S
            while not lock.own():
                if time.monotonic() > deadline:
                    raise QueueUnavailableError(
                        f"another process has been starting or stopping the server of {self.home} for more "
                        f"than {_TURN_S:.0f} s: see who holds {lock.path}, and end it"
                    )
                time.sleep(POLL_S)
            yield
        finally:
            lock.close()

    def _is_user_here(self) -> bool:
        return self._users_lock is not None and self._users_lock.is_current()

    def _watch(self) -> None:
        """Look now and then whether home and data are those we know; ends when the process is no user any more."""
        while True:
            time.sleep(WATCH_S)
            with self._busy:
                if self._users_lock is None:
                    self._watcher = None
                    return
                if is_here := self._users_lock.is_current():
                    if not (self._data_is_gone() or self._socket_is_gone()):
                        continue
                else:
                    self._leave_the_gone()
                    self._watcher = None
            for gone in tuple(self.gone_listeners):
                gone()
            if not is_here:
                return

    def _socket_is_gone(self) -> bool:
        """Whether the server had to be ended, as no new user could have found it; it keeps all its data."""
        line = self._line
        # It goes before its server only if somebody deletes it; or the whole home, bit by bit: see if the rest stays.
        missing = line and not self._process.find_socket().exists() and line.ask("PING") is not None
        was_missed, self._socket_missed = self._socket_missed, bool(missing)
        if line is None or not (missing and was_missed):
            return False
        log.error(
            "embedded_socket_deleted: the server is ended and started again, so that others find it",
            extra={"home": str(self.home), "pid": line.pid},
        )
        line.end_server()
        self._hang_up()
        return True

    def _data_is_gone(self) -> bool:
        """Whether the server had to be ended, as what it writes is nowhere, or elsewhere; its files are mended."""
        line = self._line
        if line is None:
            return False
        try:
            if self._data.strayed(line):
                with self._turn():
                    # Once more: others may have ended it, and it has a successor.
                    if (strayed := self._data.strayed(line)) is not None:
                        end_strayed(self.home, line, strayed)
                self._hang_up()
                return True
            missing = self._data.mend_files(line)
        except (TorilError, OSError) as exc:
            log.warning("embedded_data_not_checked", extra={"home": str(self.home), "error": str(exc)})
            return False
        if missing:
            log.error(
                "embedded_files_deleted: %s of the server's data was deleted while it runs; it writes everything again",
                ", ".join(missing),
                extra={"home": str(self.home), "pid": line.pid, "files": missing},
            )
        return False

    def _leave_the_gone(self) -> None:
        """Be no user any more of a server whose home was deleted or moved; the last one ends it."""
        lock, line = self._users_lock, self._line
        if lock is None:
            return
        place = place_of(lock)
        unfinished = {} if line is None else line.unfinished()
        facts = {"home": str(self.home), "pid": self.server_pid, "unfinished_jobs": unfinished}
        if place is not None:
            log.error(
                "embedded_home_moved: its jobs are in %s; run a worker with TORIL_HOME set to that, or move it back",
                place,
                extra={**facts, "moved_to": str(place)},
            )
        else:
            log.error(
                "embedded_home_deleted: its jobs are lost once its server has ended, which its last user sees to",
                extra=facts,
            )
        if line is not None and lock.own():
            line.end_server()
            log.warning("embedded_server_ended: no new user could find it", extra=facts)
        self._drop_users_lock()

    def _take_users_lock(self) -> None:
        if not self._is_user_here():
            self._leave_the_gone()
            self._users_lock = FileLock(self.home / "users.lock")
            self._users_lock.share()  # it is held alone only during a leaver's turn, and this is ours

    def _drop_users_lock(self) -> None:
        if self._users_lock is not None:
            self._users_lock.close()
            self._users_lock = None
        self._hang_up()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def prepare_home(home: Path) -> None:
    """Make the directory of an installation if it is not there, and close it to other users.

    Raises:
        ConfigurationError: it is somebody else's, or a directory for many things.
        OSError: it cannot be made.
    """
    try:
        home.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        pass
    else:
        (home / ".gitignore").write_text("*\n")  # job data does not belong in a repository
    found = home.stat()
    if found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"{home} belongs to user {found.st_uid}, and this process runs as user {os.geteuid()}: run it as "
            "the owner, or set TORIL_HOME to a directory of its own"
        )
    if found.st_mode & stat.S_ISVTX or home in (Path("/"), Path.home()):
        raise ConfigurationError(
            f"{home} is a directory for many things, and the server needs one that it can close to other "
            "users: set TORIL_HOME to a directory of its own"
        )
    if found.st_mode & 0o077:
        home.chmod(0o700)


def _home_path(home: Path | None) -> Path:
    path = Path(home or os.environ.get("TORIL_HOME") or ".toril").expanduser()
    try:
        return path.resolve()
    except FileNotFoundError as exc:  # of a relative path only
        raise ConfigurationError(
            f"the home of the embedded server, {path}, is in the working directory, and that was deleted: go to "
            "another directory, or set TORIL_HOME to an absolute path"
        ) from exc


def _member_of(home: Path) -> _Member:
    return _members.setdefault(str(home), _Member(home))


def _leave_at_exit() -> None:
    for member in list(_members.values()):
        member.leave_at_exit()


os.register_at_fork(after_in_child=_members.clear)
atexit.register(_leave_at_exit)
