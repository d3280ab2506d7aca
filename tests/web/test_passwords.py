"""Passwords are hashed beside the event loop, and only so many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from toril.errors import OptionError
from toril.web.auth import passwords as module
from toril.web.auth.passwords import Passwords, hash_password
from toril.web.auth.secrets import new_password
from toril.web.errors import Overloaded


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


async def test_a_hash_knows_its_password_and_no_other(passwords: Passwords) -> None:
    kept = await passwords.hash("a long pass phrase")
    assert kept.startswith("$argon2id$")
    assert await passwords.check("a long pass phrase", kept)
    assert not await passwords.check("a long pass phrasE", kept)
    assert not await passwords.check("a long pass phrase", None)
    assert not await passwords.check("a long pass phrase", "not a hash")


async def test_too_many_at_once_are_turned_away(passwords: Passwords) -> None:
    tries = module._MOST_WAITING + 5
    answers = await asyncio.gather(
        *(passwords.check("guess", None) for _ in range(tries)), return_exceptions=True
    )
    assert sum(isinstance(answer, Overloaded) for answer in answers) == 5
    assert await passwords.check("guess", None) is False  # there is room again


async def test_a_hash_with_old_parameters_is_renewed(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await passwords.hash("a long pass phrase")
    assert await passwords.renewed("a long pass phrase", kept) is None
    monkeypatch.setattr(
        module, "_hasher", module.PasswordHasher(memory_cost=8_192, time_cost=2, parallelism=1)
    )
    newer = await passwords.renewed("a long pass phrase", kept)
    assert newer is not None
    assert "m=8192" in newer
    assert await passwords.check("a long pass phrase", newer)


@pytest.mark.parametrize("weak", ["", "eleven char", "x" * 257, "abcdabcdabcd"])
def test_weak_passwords_are_refused(weak: str) -> None:
    with pytest.raises(OptionError, match="a password has"):
        hash_password(weak)


def test_made_up_passwords_are_strong_and_never_the_same() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    for password in made:
        module.check_strength(password)
