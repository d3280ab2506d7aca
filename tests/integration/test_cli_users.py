"""``toril users``: who may sign in, from a shell."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.cli import Running, Toril

from toril.db.models import AuditEntry
from toril.db.repositories.users import Users
from toril.db.session import Database
from toril.web.auth.passwords import Passwords


@pytest.fixture
async def toril(tmp_path: Path) -> Toril:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    async with Database(url) as database:
        await database.upgrade()
    return Toril(tmp_path, {"DATABASE_URL": url, "TORIL_HOME": str(tmp_path / "home")})


async def matches(toril: Toril, email: str, password: str) -> bool:
    passwords = Passwords()
    try:
        async with Database(toril.settings["DATABASE_URL"]) as database, database.reading() as session:
            user = await Users(session).find_by_email(email)
            assert user is not None
            return await passwords.check(password, user.password_hash)
    finally:
        passwords.close()


async def keep_typing(asking: Running, line: str) -> None:
    """Answer each question: what is typed before one is asked is thrown away."""
    while True:
        asking.type(line)
        await asyncio.sleep(0.1)


async def test_a_user_is_made_listed_and_disabled(toril: Toril) -> None:
    made = await toril("users", "create", "Ada@firm.example", "--role", "admin", "--json")
    assert made.code == 0, made.err
    assert made.json["email"] == "ada@firm.example"
    assert await matches(toril, "ada@firm.example", made.json["password"])
    again = await toril("users", "create", "ada@firm.example")
    assert (again.code, again.out) == (1, "")
    assert "already" in again.err
    read = await toril(
        "users", "create", "sara@firm.example", "--password-stdin", "--json", stdin="a long pass phrase\n"
    )
    assert read.code == 0
    assert "password" not in read.json
    assert "a long pass phrase" not in read.out + read.err
    assert await matches(toril, "sara@firm.example", "a long pass phrase")
    disabled = await toril("users", "disable", "sara@firm.example")
    assert disabled.code == 0
    listed = (await toril("users", "list", "--json")).json
    assert [(user["email"], user["active"]) for user in listed] == [
        ("ada@firm.example", True),
        ("sara@firm.example", False),
    ]
    async with Database(toril.settings["DATABASE_URL"]) as database, database.reading() as session:
        actions = (await session.scalars(select(AuditEntry.action))).all()
    assert sorted(actions) == ["user.create", "user.create", "user.disable"]


async def test_a_reset_password_is_shown_once_and_typed_ones_never(toril: Toril) -> None:
    await toril("users", "create", "ada@firm.example", "--role", "admin")
    reset = await toril("users", "reset-password", "ada@firm.example")
    password = reset.out.split()[-1]
    assert await matches(toril, "ada@firm.example", password)
    async with toril.running("users", "reset-password", "ada@firm.example", "--ask", terminal=True) as asking:
        typing = asyncio.create_task(keep_typing(asking, "typed by a person\n"))
        assert await asking.end() == 0
        typing.cancel()
    assert not [line for line in asking.lines if "typed by" in line]
    assert await matches(toril, "ada@firm.example", "typed by a person")


async def test_what_cannot_be_done_is_refused(toril: Toril) -> None:
    await toril("users", "create", "ada@firm.example", "--role", "admin")
    for arguments, code, says in (
        (["set-role", "ada@firm.example", "staff"], 1, "nobody could administer"),
        (["disable", "ada@firm.example"], 1, "nobody could administer"),
        (["disable", "nobody@firm.example"], 4, "there is no user"),
        (["create", "not an address"], 2, "is not an e-mail address"),
        (["create", "x@firm.example", "--ask"], 2, "nobody to ask"),
        (["create", "x@firm.example", "--password-stdin"], 2, "standard input is empty"),
        (["create", "x@firm.example", "--firm", "0" * 24], 1, "firm"),
    ):
        done = await toril("users", *arguments)
        assert done.code == code, (arguments, done)
        assert says in done.err
    short = await toril("users", "create", "x@firm.example", "--password-stdin", "--json", stdin="short\n")
    assert short.code == 2
    assert json.loads(short.err)["error"]["code"] == "bad_option"
    assert len((await toril("users", "list", "--json")).json) == 1


async def test_where_there_is_no_administrator_others_can_still_be_changed(toril: Toril) -> None:
    await toril("users", "create", "ada@firm.example")
    for arguments in (("set-role", "ada@firm.example", "lawyer"), ("disable", "ada@firm.example")):
        done = await toril("users", *arguments)
        assert done.code == 0, done.err
