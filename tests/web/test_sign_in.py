"""Signing in and out over HTTP, and what keeps others out."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
import pytest
from sqlalchemy import select
from tests.support.until import until
from tests.support.web_site import PASSWORD, Site, code_of, open_site

from toril.db.ids import new_id
from toril.db.models import Role, Session, User
from toril.settings import Settings
from toril.web.auth import access, passwords, throttle
from toril.web.auth.access_tokens import AccessTokens
from toril.web.auth.throttle import PER_ACCOUNT, PER_ACCOUNT_IN_ALL, PER_ADDRESS, WINDOW, Throttle
from toril.web.errors import TooManyRequests


async def test_a_password_gives_tokens_that_say_who_one_is(site: Site) -> None:
    user_id = await site.add_user(role=Role.LAWYER)
    response = await site.login(" ADA@firm.example")
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    tokens = response.json()["data"]
    assert (tokens["tokenType"], tokens["expiresIn"]) == ("Bearer", 900)
    me = await site.call("GET", "/api/auth/me", tokens["accessToken"])
    assert me.json() == {
        "success": True,
        "data": {
            "id": user_id,
            "email": "ada@firm.example",
            "name": "Ada",
            "role": "lawyer",
            "firmId": None,
            "scopes": None,
        },
    }
    async with site.web.installation.database.reading() as session:
        kept = (await session.scalars(select(Session))).one()
        user = (await session.scalars(select(User))).one()
    assert kept.token_hash not in (tokens["refreshToken"], tokens["accessToken"])
    assert user.last_login_at is not None
    assert await site.audited() == ["auth.sign_in"]


async def test_nobody_learns_why_a_sign_in_failed(site: Site) -> None:
    await site.add_user()
    await site.add_user("gone@firm.example", active=False)
    await site.add_user("none@firm.example", password_hash=None)
    took, answers = {}, {}
    for email, password in (
        ("ada@firm.example", "not the pass phrase"),
        ("nobody@firm.example", PASSWORD),
        ("gone@firm.example", PASSWORD),
        ("none@firm.example", PASSWORD),
    ):
        times = []
        for _ in range(4):
            began = time.process_time()  # of the processor, as the machine may be busy
            response = await site.login(email, password)
            times.append(time.process_time() - began)
            answers[email] = (response.status_code, response.text, response.headers["www-authenticate"])
        took[email] = min(times)
    assert len(set(answers.values())) == 1
    assert answers["ada@firm.example"][0] == 401
    # Without a hash of its own each would take a quarter of the time.
    assert min(took.values()) > max(took.values()) / 2.5, took


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # of a forged token
async def test_tokens_that_are_not_good_are_refused(site: Site) -> None:
    user_id = await site.add_user()
    good = (await site.sign_in())["accessToken"]
    session_id = jwt.decode(good, options={"verify_signature": False})["sid"]
    ours = site.web.access.tokens
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": "toril", "aud": "toril-api", "sub": user_id, "sid": session_id, "iat": now, "exp": now + 60
    }  # fmt: skip
    key, typ = ours._keys[0], {"typ": "at+jwt"}
    head, body, signature = good.split(".")
    bad = {
        "expired": (ours.issue(user_id, session_id, now=now - 901), "token_expired"),
        "bad signature": (f"{head}.{body}.{signature[:-2]}{'AA' if signature[-2:] != 'AA' else 'BB'}", "bad_token"),
        "another key": (AccessTokens(["another secret" * 3]).issue(user_id, session_id), "bad_token"),
        "alg none": (jwt.encode(claims, "", algorithm="none", headers=typ), "bad_token"),
        "another alg": (jwt.encode(claims, key, algorithm="HS512", headers=typ), "bad_token"),
        "another type": (jwt.encode(claims, key, algorithm="HS256"), "bad_token"),
        "another audience": (jwt.encode(claims | {"aud": "x"}, key, algorithm="HS256", headers=typ), "bad_token"),
        "another issuer": (jwt.encode(claims | {"iss": "x"}, key, algorithm="HS256", headers=typ), "bad_token"),
        "no session": (ours.issue(user_id, new_id()), "session_ended"),
        "another's session": (ours.issue(new_id(), session_id), "session_ended"),
        "no token": ("nothing", "bad_token"),
        "no key": ("toril_nothing", "bad_api_key"),
    }  # fmt: skip
    assert (await site.call("GET", "/api/auth/me", good)).status_code == 200
    for name, (token, code) in bad.items():
        response = await site.call("GET", "/api/auth/me", token)
        assert code_of(response) == (401, code), name
        assert response.headers["www-authenticate"] == "Bearer"
    for header in ("", "Bearer", "Basic YTpi", good):
        response = await site.client.get("/api/auth/me", headers={"Authorization": header})
        assert code_of(response) == (401, "not_authenticated")


async def test_a_token_is_good_at_once_where_the_clock_is_behind(site: Site) -> None:
    user_id = await site.add_user()
    good = (await site.sign_in())["accessToken"]
    session_id = jwt.decode(good, options={"verify_signature": False})["sid"]
    ahead = site.web.access.tokens.issue(user_id, session_id, now=time.time() + 30)
    assert (await site.call("GET", "/api/auth/me", ahead)).status_code == 200


async def test_an_attempt_that_nobody_had_time_for_does_not_count(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.add_user()
    with monkeypatch.context() as full:
        full.setattr(passwords, "_MOST_WAITING", 0)
        for _ in range(PER_ACCOUNT + 1):
            assert code_of(await site.login()) == (503, "overloaded")
    await site.sign_in()


async def test_a_forged_refresh_token_ends_nobodys_sign_in(site: Site) -> None:
    await site.add_user()
    tokens = await site.sign_in()
    session_id, body, signature = tokens["refreshToken"].split(".")
    for forged in (f"{session_id}.{body[::-1]}.{signature}", f"{session_id}.{body}.{'0' * 32}", "x", "a.b.c"):
        response = await site.client.post("/api/auth/refresh", json={"refreshToken": forged})
        assert code_of(response) == (401, "bad_token")
    again = await site.client.post("/api/auth/refresh", json={"refreshToken": tokens["refreshToken"]})
    assert again.status_code == 200


async def test_signing_out_ends_one_sign_in_or_all(site: Site) -> None:
    await site.add_user()
    here, there, elsewhere = [(await site.sign_in())["accessToken"] for _ in range(3)]
    assert (await site.call("POST", "/api/auth/logout", here)).json() == {"success": True, "data": None}
    assert code_of(await site.call("GET", "/api/auth/me", here)) == (401, "session_ended")
    assert (await site.call("GET", "/api/auth/me", there)).status_code == 200
    await site.call("POST", "/api/auth/logout", there, json={"everywhere": True})
    assert code_of(await site.call("GET", "/api/auth/me", elsewhere)) == (401, "session_ended")


async def test_what_another_process_ended_is_noticed_in_seconds(
    site: Site, site_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.add_user()
    token = (await site.sign_in())["accessToken"]
    monkeypatch.setattr(access, "TRUSTED_FOR", 0.1)
    async with open_site(site_settings) as other:
        assert (await other.call("GET", "/api/auth/me", token)).status_code == 200
        await site.call("POST", "/api/auth/logout", token)

        async def refused() -> bool:
            return (await other.call("GET", "/api/auth/me", token)).status_code == 401

        await until(refused)


async def test_who_tries_too_often_must_wait_whatever_the_password(
    site: Site, site_settings: Settings
) -> None:
    await site.add_user()
    await site.add_user("sara@firm.example")
    guesses = await asyncio.gather(*(site.login(password=f"guess {n}") for n in range(PER_ACCOUNT + 4)))
    assert sorted(guess.status_code for guess in guesses) == [401] * PER_ACCOUNT + [429] * 4
    refused = await site.login()
    assert code_of(refused) == (429, "too_many_requests")
    assert WINDOW * 60 - 60 < int(refused.headers["retry-after"]) <= WINDOW * 60
    assert (await site.login("sara@firm.example")).status_code == 200
    async with open_site(site_settings) as other:
        assert code_of(await other.login()) == (429, "too_many_requests")


async def test_a_success_begins_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "PER_ACCOUNT", 2)
    await site.add_user()
    for _ in range(3):
        assert (await site.login(password="wrong password")).status_code == 401
        assert (await site.login()).status_code == 200


def guard_of(site: Site) -> Throttle:
    return Throttle(site.web.installation.service.queue("email"))


async def test_one_address_cannot_try_many_accounts(site: Site) -> None:
    guard = guard_of(site)
    for number in range(PER_ADDRESS):
        await guard.attempt(f"user-{number}", f"2001:db8:0:1::{number:x}")
    with pytest.raises(TooManyRequests):
        await guard.attempt("another", "2001:db8:0:1:ffff::1")
    await guard.attempt("another", "2001:db8:0:2::1")
    await guard.attempt("another", None)


async def test_nobody_is_locked_out_by_attempts_from_another_address(site: Site) -> None:
    guard = guard_of(site)
    refused = 0
    for _ in range(PER_ACCOUNT_IN_ALL + PER_ADDRESS):
        try:
            await guard.attempt("ada@firm.example", "192.0.2.66")
        except TooManyRequests:
            refused += 1
    assert refused == PER_ACCOUNT_IN_ALL + PER_ADDRESS - PER_ACCOUNT
    await guard.attempt("ada@firm.example", "198.51.100.1")


async def test_many_addresses_together_cannot_try_one_account_without_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "PER_ACCOUNT_IN_ALL", 20)
    guard = guard_of(site)
    for number in range(20):
        await guard.attempt("ada@firm.example", f"192.0.2.{number}")
    with pytest.raises(TooManyRequests):
        await guard.attempt("ada@firm.example", "198.51.100.1")
    await guard.succeeded("ada@firm.example", "198.51.100.1")
    await guard.attempt("ada@firm.example", "198.51.100.1")


async def test_counters_are_on_the_queue_server_and_end_by_themselves(site: Site) -> None:
    queue = site.web.installation.service.queue("email")
    await guard_of(site).attempt("ada@firm.example", "192.0.2.66")
    _, keys = await queue.scripts.ask("SCAN", 0, "MATCH", queue.keys.of("toril:attempts:*"), "COUNT", 100_000)
    assert len(keys) == 3
    for key in keys:
        left = await queue.scripts.ask("TTL", key)
        assert 0 < left <= WINDOW * 60
        assert b"ada" not in key


async def test_another_password_ends_all_other_sign_ins(site: Site) -> None:
    await site.add_user()
    mine, others = [(await site.sign_in())["accessToken"] for _ in range(2)]

    async def change(current: str, new: str) -> Any:
        body = {"currentPassword": current, "newPassword": new}
        return await site.call("POST", "/api/auth/password", mine, json=body)

    assert code_of(await change("not the pass phrase", "another pass phrase")) == (403, "bad_credentials")
    assert code_of(await change(PASSWORD, "short")) == (400, "bad_option")
    assert code_of(await change(PASSWORD, "aaaaaaaaaaaaaaaa")) == (400, "bad_option")
    assert (await site.call("GET", "/api/auth/me", others)).status_code == 200
    assert (await change(PASSWORD, "another pass phrase")).status_code == 200
    assert (await site.call("GET", "/api/auth/me", mine)).status_code == 200
    assert code_of(await site.call("GET", "/api/auth/me", others)) == (401, "session_ended")
    assert (await site.login()).status_code == 401
    assert (await site.login(password="another pass phrase")).status_code == 200


async def test_a_user_who_was_disabled_is_out_at_the_next_look(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "TRUSTED_FOR", 0.0)
    user_id = await site.add_user()
    tokens = await site.sign_in()
    async with site.web.installation.database.session() as session:
        (await session.get_one(User, user_id)).active = False
    assert code_of(await site.call("GET", "/api/auth/me", tokens["accessToken"])) == (401, "session_ended")
    refreshed = await site.client.post("/api/auth/refresh", json={"refreshToken": tokens["refreshToken"]})
    assert code_of(refreshed) == (401, "session_ended")
