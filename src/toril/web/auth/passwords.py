"""Passwords: hashed with argon2id, in threads of their own, a few at a time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from toril.errors import OptionError
from toril.web.errors import Overloaded

T = TypeVar("T")

#: Characters a password has at least, and at most, so that nobody lets us hash a book.
SHORTEST, LONGEST = 12, 256

_AT_ONCE: Final = 2  # each takes a core for some 30 ms
_MOST_WAITING: Final = 32

#: argon2id with 19 MiB. Source: OWASP Password Storage Cheat Sheet, 2025.
_hasher: Final = PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1)


def hash_password(password: str) -> str:
    """The hash to keep. Takes long on purpose.

    Raises:
        OptionError: the password is too short or too long.
    """
    check_strength(password)
    return _hasher.hash(password)


def check_strength(password: str) -> None:
    """Refuse what is too easily guessed.

    Raises:
        OptionError: the password is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise OptionError(f"a password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}")
    if len(set(password)) < 5:
        raise OptionError("a password has at least five different characters")


class Passwords:
    """Hashes and checks without holding the event loop up."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="toril-password")
        self._waiting = 0
        # Checked for users that do not exist, so that they take as long as those that do.
        self._nobodys = _hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """See ``hash_password``.

        Raises:
            OptionError: the password is too short or too long.
            Overloaded: too many are waiting.
        """
        return await self._run(lambda: hash_password(password))

    async def check(self, password: str, kept: str | None) -> bool:
        """Whether it is the password of the hash ``kept``; takes the same time for None, which nobody has.

        Raises:
            Overloaded: too many are waiting.
        """
        return await self._run(lambda: _matches(password, kept or self._nobodys)) and kept is not None

    async def renewed(self, password: str, kept: str) -> str | None:
        """Another hash of a password that was just checked, if ``kept`` was made with weaker parameters."""
        if not _hasher.check_needs_rehash(kept):
            return None
        return await self._run(lambda: _hasher.hash(password))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def require_room(self) -> None:
        """For who counts attempts: one that is not looked at is none.

        Raises:
            Overloaded: too many are waiting.
        """
        if self._waiting >= _MOST_WAITING:
            raise Overloaded("too many people sign in at this moment: try again shortly")

    async def _run(self, work: Callable[[], T]) -> T:
        self.require_room()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _matches(password: str, kept: str) -> bool:
    try:
        return _hasher.verify(kept, password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
