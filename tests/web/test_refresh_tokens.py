"""Refresh tokens: good once, forgiven for a moment, and a copy is found out."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.support.web_site import Site, code_of

from toril.db.models import Session
from toril.web.auth.secrets import hash_of
from toril.web.auth.sign_in import FORGIVEN_FOR


async def refresh(site: Site, token: str) -> Any:
    return await site.client.post("/api/auth/refresh", json={"refreshToken": token})


async def refreshed(site: Site, token: str) -> dict[str, Any]:
    """The tokens that one is exchanged for."""
    response = await refresh(site, token)
    assert response.status_code == 200, response.text
    data: dict[str, Any] = response.json()["data"]
    return data


async def pass_by(site: Site, time: timedelta) -> None:
    """Let all tokens have been replaced that much earlier."""
    async with site.web.installation.database.session() as session:
        for stored in (await session.scalars(select(Session).where(Session.replaced_at.is_not(None)))).all():
            await session.execute(
                update(Session)
                .where(Session.id == stored.id)
                .values(replaced_at=(stored.replaced_at or stored.created_at) - time)
            )


async def test_a_refresh_token_is_good_once_and_its_return_ends_the_sign_in(site: Site) -> None:
    await site.add_user()
    first, other = await site.sign_in(), await site.sign_in()
    second = await refreshed(site, first["refreshToken"])
    assert (await site.call("GET", "/api/auth/me", second["accessToken"])).status_code == 200
    await pass_by(site, FORGIVEN_FOR)
    assert code_of(await refresh(site, first["refreshToken"])) == (401, "refresh_token_reused")
    assert code_of(await refresh(site, second["refreshToken"])) == (401, "session_ended")
    assert code_of(await site.call("GET", "/api/auth/me", second["accessToken"])) == (401, "session_ended")
    assert (await site.call("GET", "/api/auth/me", other["accessToken"])).status_code == 200
    assert (await refresh(site, other["refreshToken"])).status_code == 200
    assert (await site.audited()).count("auth.refresh_token_reused") == 1


async def test_tabs_that_refresh_at_once_go_on_with_one_token(site: Site) -> None:
    await site.add_user()
    token = (await site.sign_in())["refreshToken"]
    for _ in range(3):
        tabs = await asyncio.gather(*(refreshed(site, token) for _ in range(4)))
        assert len({tab["refreshToken"] for tab in tabs}) == 1
        for tab in tabs:
            assert (await site.call("GET", "/api/auth/me", tab["accessToken"])).status_code == 200
        token = tabs[0]["refreshToken"]
    await pass_by(site, timedelta(hours=1))
    await refreshed(site, token)
    assert "auth.refresh_token_reused" not in await site.audited()


async def test_an_answer_that_got_lost_is_given_again(site: Site) -> None:
    await site.add_user()
    token = (await site.sign_in())["refreshToken"]
    lost = await refreshed(site, token)
    assert (await refreshed(site, token))["refreshToken"] == lost["refreshToken"]


@pytest.mark.parametrize("thief_first", [True, False])
async def test_a_thief_as_quick_as_that_is_found_out_at_the_next_refresh(
    site: Site, thief_first: bool
) -> None:
    await site.add_user()
    token = (await site.sign_in())["refreshToken"]
    thief, owner = [(await refreshed(site, token))["refreshToken"] for _ in range(2)]
    await pass_by(site, timedelta(minutes=15))
    first, second = (thief, owner) if thief_first else (owner, thief)
    third = await refreshed(site, first)
    await pass_by(site, timedelta(minutes=15))
    assert code_of(await refresh(site, second)) == (401, "refresh_token_reused")
    assert code_of(await refresh(site, third["refreshToken"])) == (401, "session_ended")


async def test_a_token_before_the_last_is_not_forgiven(site: Site) -> None:
    await site.add_user()
    first = (await site.sign_in())["refreshToken"]
    second = (await refreshed(site, first))["refreshToken"]
    await refreshed(site, second)
    assert code_of(await refresh(site, first)) == (401, "refresh_token_reused")


async def test_of_a_sign_in_that_has_ended_nothing_is_forgiven(site: Site) -> None:
    await site.add_user()
    token = (await site.sign_in())["refreshToken"]
    tokens = await refreshed(site, token)
    assert (await site.call("POST", "/api/auth/logout", tokens["accessToken"])).status_code == 200
    assert code_of(await refresh(site, token)) == (401, "session_ended")


async def test_who_reads_the_database_reads_no_token(site: Site) -> None:
    await site.add_user()
    token = (await site.sign_in())["refreshToken"]
    newest = (await refreshed(site, token))["refreshToken"]
    async with site.web.installation.database.reading() as session:
        [stored] = (await session.scalars(select(Session))).all()
    assert stored.token_hash == hash_of(newest)
    kept = " ".join(str(value) for value in vars(stored).values())
    for part in (*newest.split(".")[1:], *token.split(".")[1:]):
        assert part not in kept
