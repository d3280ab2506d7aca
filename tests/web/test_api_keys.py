"""Keys for machines: what they may do, until when, and who may make them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.web_site import Site, code_of

from toril.db.models import ApiKey, AuditEntry, Role
from toril.db.types import utc_now
from toril.web.auth import access


async def make_key(site: Site, token: str, *scopes: str) -> dict[str, Any]:
    body = {"name": "billing", "scopes": list(scopes), "expiresInDays": 30}
    response = await site.call("POST", "/api/keys", token, json=body)
    assert response.status_code == 201, response.text
    data: dict[str, Any] = response.json()["data"]
    return data


@pytest.fixture
async def admin(site: Site) -> str:
    """Access token of an administrator."""
    await site.add_user()
    return str((await site.sign_in())["accessToken"])


async def test_a_key_does_what_its_scopes_say(site: Site, admin: str) -> None:
    paths = (("GET", "/api/probes/read"), ("POST", "/api/probes/write"), ("GET", "/api/probes/admin"))
    for scopes, allowed in (
        (["queues:read"], (200, 403, 403)),
        (["queues:write"], (200, 200, 403)),
        (["records:write"], (403, 403, 403)),
        (["admin"], (200, 200, 200)),
    ):
        key = (await make_key(site, admin, *scopes))["key"]
        found = tuple([(await site.call(*path, key)).status_code for path in paths])
        assert found == allowed, scopes


async def test_a_key_that_was_made_up_waits_for_no_writer(site: Site) -> None:
    async with site.web.installation.database.session(), asyncio.timeout(60):
        response = await site.call("GET", "/api/auth/me", "toril_made_up")
    assert code_of(response) == (401, "bad_api_key")


async def test_a_keys_user_must_have_the_role_too(site: Site, admin: str) -> None:
    key = (await make_key(site, admin, "admin"))["key"]
    async with site.web.installation.database.session() as session:
        kept = (await session.scalars(select(ApiKey))).one()
        user_id = kept.user_id
    assert (await site.call("GET", "/api/probes/read", key)).status_code == 200
    from toril.db.models import User

    async with site.web.installation.database.session() as session:
        (await session.get_one(User, user_id)).role = Role.LAWYER
    site.web.access.forget(user_id=user_id)
    assert code_of(await site.call("GET", "/api/probes/read", key)) == (403, "forbidden")


async def test_a_key_is_shown_once_and_kept_by_its_hash(site: Site, admin: str) -> None:
    made = await make_key(site, admin, "queues:read")
    assert made["key"].startswith(made["hint"])
    listed = (await site.call("GET", "/api/keys", admin)).json()
    assert (listed["count"], listed["data"][0]["id"]) == (1, made["id"])
    assert made["key"] not in str(listed)
    async with site.web.installation.database.reading() as session:
        kept = (await session.scalars(select(ApiKey))).one()
    assert made["key"] not in (kept.key_hash, kept.hint)
    assert len(kept.key_hash) == 64


async def test_a_key_that_was_taken_back_or_has_expired_is_refused(
    site: Site, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [await make_key(site, admin, "queues:read") for _ in range(2)]
    assert (await site.call("GET", "/api/auth/me", first["key"])).status_code == 200
    assert (await site.call("DELETE", f"/api/keys/{first['id']}", admin)).status_code == 200
    assert code_of(await site.call("GET", "/api/auth/me", first["key"])) == (401, "bad_api_key")
    for unknown in (first["id"], "0" * 24, "nothing"):
        assert code_of(await site.call("DELETE", f"/api/keys/{unknown}", admin)) == (404, "not_found")
    monkeypatch.setattr(access, "TRUSTED_FOR", 0.0)
    assert (await site.call("GET", "/api/auth/me", second["key"])).status_code == 200
    async with site.web.installation.database.session() as session:
        (await session.get_one(ApiKey, second["id"])).expires_at = utc_now() - timedelta(seconds=1)
    assert code_of(await site.call("GET", "/api/auth/me", second["key"])) == (401, "bad_api_key")


async def test_only_administrators_in_person_make_keys(site: Site, admin: str) -> None:
    key = (await make_key(site, admin, "admin"))["key"]
    body = {"name": "another", "scopes": ["admin"]}
    assert code_of(await site.call("POST", "/api/keys", key, json=body)) == (403, "forbidden")
    assert code_of(await site.call("POST", "/api/auth/logout", key)) == (403, "forbidden")
    assert (await site.call("GET", "/api/keys", key)).status_code == 200
    await site.add_user("sara@firm.example", role=Role.LAWYER)
    lawyer = (await site.sign_in("sara@firm.example"))["accessToken"]
    for method, path, more in (
        ("POST", "/api/keys", {"json": body}),
        ("GET", "/api/keys", {}),
        ("DELETE", "/api/keys/1", {}),
    ):
        assert code_of(await site.call(method, path, lawyer, **more)) == (403, "forbidden")  # type: ignore[arg-type]


async def test_a_firms_administrator_sees_the_firms_keys_only(site: Site, admin: str) -> None:
    ours = await make_key(site, admin, "queues:read")
    await site.add_user("head@firm.example", firm_id=await site.add_firm())
    head = (await site.sign_in("head@firm.example"))["accessToken"]
    theirs = await make_key(site, head, "records:read")
    assert [key["id"] for key in (await site.call("GET", "/api/keys", head)).json()["data"]] == [theirs["id"]]
    assert code_of(await site.call("DELETE", f"/api/keys/{ours['id']}", head)) == (404, "not_found")
    everybodys = (await site.call("GET", "/api/keys", admin)).json()["data"]
    assert {key["id"] for key in everybodys} == {ours["id"], theirs["id"]}
    assert (await site.call("DELETE", f"/api/keys/{theirs['id']}", admin)).status_code == 200


async def test_what_a_key_does_is_written_down_with_the_key(site: Site, admin: str) -> None:
    key = await make_key(site, admin, "queues:write")
    await site.call("POST", "/api/probes/write", key["key"])
    async with site.web.installation.database.reading() as session:
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "probe.write"))).one()
    assert entry.target == "a target"
    assert entry.details == {"number": 1, "apiKey": key["id"]}
    assert entry.address == "127.0.0.1"
    assert await site.audited() == ["auth.sign_in", "api_key.create", "probe.write"]


async def test_a_key_without_scopes_or_with_strange_ones_is_not_made(site: Site, admin: str) -> None:
    for body, field in (
        ({"name": "x", "scopes": []}, "body.scopes"),
        ({"name": "x", "scopes": ["everything"]}, "body.scopes.0"),
        ({"name": "", "scopes": ["admin"]}, "body.name"),
        ({"name": "x", "scopes": ["admin"], "expiresInDays": 0}, "body.expiresInDays"),
        ({"name": "x", "scopes": ["admin"], "userId": "1"}, "body.userId"),
    ):
        response = await site.call("POST", "/api/keys", admin, json=body)
        assert code_of(response) == (400, "bad_request")
        assert response.json()["error"]["details"][0]["field"] == field
