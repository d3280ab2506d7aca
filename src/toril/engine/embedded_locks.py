"""Lock files that tell processes apart from what they left behind.

flock(2): the kernel frees a lock when the last descriptor of the opened file is closed, so also when its
process is killed. A descriptor is copied by fork; see ``_forget_in_child`` for what that means here.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

# Held around os.fork(), so that a child finds every open descriptor in the set.
_guard = threading.Lock()
_open: set[FileLock] = set()


class FileLock:
    """A lock file, opened and made if missing. The lock goes when it is closed, or when the process dies.

    The file itself stays: a lock on a file that was deleted meets nobody.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _guard:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            _open.add(self)

    def share(self) -> bool:
        """Hold it together with others, without waiting; False if somebody holds it alone."""
        return self._take(fcntl.LOCK_SH)

    def own(self) -> bool:
        """Hold it alone, without waiting; False if anybody else holds it (our own share may be lost then)."""
        return self._take(fcntl.LOCK_EX)

    def _take(self, kind: int) -> bool:
        try:
            fcntl.flock(self.fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_current(self) -> bool:
        """Whether the file is still the one at its path, so that others meet us there."""
        try:
            return os.path.samestat(os.fstat(self.fd), os.stat(self.path))
        except OSError:
            return False

    def close(self) -> None:
        """Unlock and close. Closing alone is not enough while a process being forked has a copy."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        self.hand_over()

    def hand_over(self) -> None:
        """Close, but leave the lock to a process that inherited the descriptor."""
        with _guard:
            _open.discard(self)
            os.close(self.fd)


def _forget_in_child() -> None:
    """In a forked child: close what was inherited.

    Closing does not unlock, since the parent has the files open, too. Keeping them open would hold the
    parent's locks for as long as the child lives; unlocking would take them from the parent.
    """
    for lock in _open:
        os.close(lock.fd)
    _open.clear()
    _guard.release()


os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_forget_in_child)
