"""Sign-ins, one-time tokens and keys work once, while they are good, and for their owner."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.records import NOW, add_firm, add_user

from toril.db.models import ApiKey, AuditEntry, OneTimeToken, Role, Session, TokenPurpose, User
from toril.db.repositories.access import ApiKeys, OneTimeTokens, Sessions
from toril.db.repositories.audit import AuditLog
from toril.db.repositories.users import Users
from toril.db.session import Database

HOUR = timedelta(hours=1)


async def add_session(session: AsyncSession, user: User, token_hash: str = "first") -> Session:
    opened = Session(user_id=user.id, token_hash=token_hash, expires_at=NOW + HOUR)
    session.add(opened)
    await session.flush()
    return opened


@pytest.fixture
async def user(database: Database) -> User:
    async with database.session() as session:
        return await add_user(session, await add_firm(session), email="sara@firm.example")


async def test_a_refresh_token_is_good_once(database: Database, user: User) -> None:
    async with database.session() as session:
        opened = await add_session(session, user)

    async def rotate(old: str, new: str) -> bool:
        async with database.session() as session:
            return await Sessions(session).rotate(
                opened.id, old_hash=old, new_hash=new, expires_at=NOW + 2 * HOUR, now=NOW
            )

    # Two that come at the same moment: one of them is a thief.
    assert sorted(await asyncio.gather(rotate("first", "a"), rotate("first", "b"))) == [False, True]
    async with database.reading() as session:
        stored = await Sessions(session).find(opened.id, now=NOW)
        assert stored is not None
        assert stored.token_hash in ("a", "b")
        assert stored.expires_at == NOW + 2 * HOUR
    assert await rotate(stored.token_hash, "c")
    assert not await rotate("first", "d")


async def test_a_session_ends_by_time_and_by_hand(database: Database, user: User) -> None:
    async with database.session() as session:
        opened, other = await add_session(session, user), await add_session(session, user)
        sessions = Sessions(session)
        assert await sessions.find(opened.id, now=NOW) is opened
        assert await sessions.find(opened.id, now=NOW + HOUR) is None
        late = {"old_hash": "first", "new_hash": "x", "expires_at": NOW + 3 * HOUR}
        assert not await sessions.rotate(opened.id, **late, now=NOW + HOUR)
        await sessions.revoke(opened.id, now=NOW)
        assert await sessions.find(opened.id, now=NOW) is None
        assert not await sessions.rotate(opened.id, **late, now=NOW)
        assert await sessions.find(other.id, now=NOW) is other
        await sessions.revoke_all(user.id, now=NOW + timedelta(seconds=1))
        assert await sessions.find(other.id, now=NOW) is None
        await session.refresh(opened)
        assert opened.revoked_at == NOW, "the first time counts"


async def test_a_one_time_token_is_used_up(database: Database, user: User) -> None:
    async with database.session() as session:
        reset = TokenPurpose.PASSWORD_RESET
        for name, expires_at in (("good", NOW + HOUR), ("old", NOW)):
            session.add(OneTimeToken(user_id=user.id, purpose=reset, token_hash=name, expires_at=expires_at))
        await session.flush()
        tokens = OneTimeTokens(session)
        assert await tokens.use(TokenPurpose.OTP, "good", now=NOW) is None, "another purpose"
        assert await tokens.use(reset, "old", now=NOW) is None
        assert await tokens.use(reset, "unknown", now=NOW) is None
        assert await tokens.use(reset, "good", now=NOW) == user.id
        assert await tokens.use(reset, "good", now=NOW) is None


async def test_a_key_is_good_until_it_expires_or_is_taken_back(database: Database, user: User) -> None:
    async with database.session() as session:
        other = await add_user(session, await add_firm(session))
        key = ApiKey(user_id=user.id, name="node", key_hash="h", hint="tk_ab", expires_at=NOW + HOUR)
        session.add_all([key, ApiKey(user_id=user.id, name="forever", key_hash="f", hint="tk_cd")])
        await session.flush()
        keys = ApiKeys(session)
        found = await keys.find("h", now=NOW)
        assert found is not None
        await session.refresh(found)
        assert (found.id, found.last_used_at) == (key.id, NOW)
        assert await keys.find("h", now=NOW + HOUR) is None
        assert await keys.find("f", now=NOW + 1000 * HOUR) is not None
        assert {each.name for each in await keys.list(user.id)} == {"node", "forever"}
        assert not await keys.revoke(key.id, user_id=other.id, now=NOW)
        assert await keys.revoke(key.id, user_id=user.id, now=NOW)
        assert not await keys.revoke(key.id, user_id=user.id, now=NOW)
        assert await keys.find("h", now=NOW) is None


async def test_users_are_found_for_signing_in(database: Database, user: User) -> None:
    async with database.session() as session:
        users = Users(session)
        assert not await users.has_admin()
        found = await users.find_by_email(" SARA@firm.example ")
        assert found is not None
        assert found.id == user.id
        found.role, found.active = "admin", False  # type: ignore[assignment]
        await session.flush()
        assert await users.find_active(user.id) is None
        assert not await users.has_admin()
        found.active = True
        await session.flush()
        assert await users.find_active(user.id) is found
        assert not await users.has_admin(), "nobody signs in without a password"
        found.password_hash = "hashed"
        await session.flush()
        assert await users.has_admin()
        assert await users.find_by_email("nobody@firm.example") is None


async def test_the_audit_log_is_listed_archived_and_emptied_in_order(database: Database) -> None:
    async with database.session() as session:
        firm, other = await add_firm(session), await add_firm(session)
        for n in range(10):
            # In pairs of one moment, so that the order needs the id too.
            at = NOW + timedelta(minutes=n // 2)
            session.add(AuditEntry(firm_id=(firm if n % 2 else other).id, action=f"queue.{n}", at=at))
    async with database.session() as session:
        audit = AuditLog(session)
        page = await audit.list(firm_id=firm.id, limit=2)
        assert ([each.action for each in page.items], page.total) == (["queue.9", "queue.7"], 5)
        assert (await audit.list()).total == 10
        edge = NOW + timedelta(minutes=4)
        assert await audit.count_before(edge) == 8
        seen: list[dict[str, Any]] = []
        while batch := await audit.oldest_before(edge, limit=3):
            seen += batch
            assert await audit.delete([each["id"] for each in batch]) == len(batch)
        assert [(each["at"], each["id"]) for each in seen] == sorted(
            (each["at"], each["id"]) for each in seen
        )
        assert {each["action"] for each in seen} == {f"queue.{n}" for n in range(8)}
        assert await audit.delete([each["id"] for each in seen]) == 0
        assert (await audit.list()).total == 2


async def test_of_two_who_take_an_administrator_each_one_finds_the_other_gone(database: Database) -> None:
    async with database.session() as session:
        users = [
            User(email=f"{n}@firm.example", name="N", role=Role.ADMIN, password_hash="h") for n in range(2)
        ]
        session.add_all(users)

    changed, looked = asyncio.Barrier(2), asyncio.Barrier(2)

    async def meet(barrier: asyncio.Barrier) -> None:
        with suppress(TimeoutError, asyncio.BrokenBarrierError):  # with a lock the other comes later
            await asyncio.wait_for(barrier.wait(), 0.5)

    async def disable(user_id: str) -> bool:
        async with database.session() as session:
            await Users(session).lock_admins()
            (await session.get_one(User, user_id)).active = False
            await session.flush()
            await meet(changed)
            is_left = await Users(session).has_admin()
            await meet(looked)
            return is_left

    assert sorted(await asyncio.gather(*(disable(user.id) for user in users))) == [False, True]
