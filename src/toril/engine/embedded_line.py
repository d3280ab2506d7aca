"""A line to the embedded server that stays when its home does not: what a process keeps to end an orphan with."""

from __future__ import annotations

import logging
import os
import signal
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, SOL_SOCKET, socket

import hiredis

from toril.engine.embedded_disk import Writing
from toril.engine.embedded_locks import FileLock

log = logging.getLogger("toril.connection")

_ANSWER_S = 5.0
_WRITE_S = 3.0

#: Jobs that have not ended, by queue: {name, count, name, count, …}.
_COUNT = """
local found, cursor = {}, '0'
repeat
  local step = redis.call('SCAN', cursor, 'MATCH', '*:id', 'COUNT', 1000)
  cursor = step[1]
  for _, key in ipairs(step[2]) do
    local base = string.sub(key, 1, -3)
    local count = 0
    for _, list in ipairs({'wait', 'paused', 'active'}) do
      local size = redis.pcall('LLEN', base .. list)
      if type(size) == 'number' then count = count + size end
    end
    for _, set in ipairs({'delayed', 'toril:overflow'}) do
      local size = redis.pcall('ZCARD', base .. set)
      if type(size) == 'number' then count = count + size end
    end
    if count > 0 then
      found[#found + 1] = string.sub(base, 1, -2)
      found[#found + 1] = tostring(count)
    end
  end
until cursor == '0'
return found
"""


class ServerLine:
    """An open connection to one server, by which it can be asked and ended though its socket is nowhere any more.

    Everything here blocks, and may be called by one thread at a time.
    """

    def __init__(self, path: Path, pid: int) -> None:
        """Connect; raises ``OSError`` if nobody listens there."""
        self.pid = pid
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._socket = socket(AF_UNIX, SOCK_STREAM)
        try:
            self._socket.settimeout(_ANSWER_S)
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def ask(self, *words: str) -> object:
        """The reply to a command, or None if there is none any more."""
        try:
            self._socket.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]
            while (reply := self._reader.gets()) is False:
                if not (received := self._socket.recv(65536)):
                    return None
                self._reader.feed(received)
        except OSError:
            return None
        return reply

    def unfinished(self) -> dict[str, int]:
        """How many jobs have not ended, by queue."""
        reply = self.ask("EVAL", _COUNT, "0")
        if not isinstance(reply, list):
            return {}
        return {str(name): int(count) for name, count in zip(reply[::2], reply[1::2], strict=True)}

    def end_server(self) -> None:
        """End the server once it has written what it can.

        If possible not by SHUTDOWN: that removes the socket, and where that is not in the home it may be its
        successor's by now. What it has written is with the operating system, and stays.
        """
        self.ask("CLIENT", "PAUSE", f"{1000 * _WRITE_S:.0f}", "WRITE")
        deadline = time.monotonic() + _WRITE_S
        while isinstance(info := self.ask("INFO", "persistence"), str):
            state = Writing.read(info)
            if (not state.fails and not state.pending) or time.monotonic() > deadline:
                if number := self._process_number():
                    with suppress(ProcessLookupError):
                        os.kill(number, signal.SIGKILL)
                else:
                    self.ask("SHUTDOWN")
                return
            time.sleep(0.01)

    def _process_number(self) -> int:
        """The server's process id as this process sees it, be it in another container; 0 if it does not."""
        if sys.platform != "linux":
            return 0
        from socket import SO_PEERCRED

        number, _, _ = struct.unpack("3i", self._socket.getsockopt(SOL_SOCKET, SO_PEERCRED, 12))
        return int(number)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def place_of(lock: FileLock) -> Path | None:
    """The directory in which a lock file lies now, wherever it was moved to; None if it was deleted, or unknown."""
    try:
        if sys.platform == "darwin":
            import fcntl

            found = os.fsdecode(fcntl.fcntl(lock.fd, fcntl.F_GETPATH, b"\0" * 1024).rstrip(b"\0"))
        else:
            found = os.readlink(f"/proc/self/fd/{lock.fd}")
        if os.path.samestat(os.stat(found), os.fstat(lock.fd)):
            return Path(found).parent
    except OSError:
        pass
    return None
