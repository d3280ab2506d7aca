"""``toril credentials``: firms get credentials of their own, and nothing shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.cli import Toril
from tests.support.records import add_firm

from toril.db.models import AuditEntry, FirmCredential
from toril.db.repositories.credentials import FirmCredentials
from toril.db.session import Database
from toril.queues.sync.access.store import CredentialStore

SECRET = "a secret of thirty-two characters or more"


@pytest.fixture
async def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path / 'records.db'}"
    async with Database(found) as database:
        await database.upgrade()
    return found


@pytest.fixture
def toril(tmp_path: Path, url: str) -> Toril:
    home = str(tmp_path / "home")
    return Toril(tmp_path, {"DATABASE_URL": url, "TORIL_HOME": home, "TORIL_SECRET": SECRET})


async def test_credentials_are_stored_listed_and_removed_and_never_shown(toril: Toril, url: str) -> None:
    async with Database(url) as database, database.session() as session:
        firm = (await add_firm(session)).id
    values = json.dumps({"secretKey": "sk_live_1"})
    done = await toril("credentials", "set", "moyasar", "--firm", firm, "--file", "-", stdin=values)
    assert done.code == 0, done.err
    listed = await toril("credentials", "list", "--firm", firm, "--json")
    assert [each["service"] for each in listed.json if each["isSet"]] == ["moyasar"]
    assert "sk_live_1" not in done.out + done.err + listed.out
    async with Database(url) as database, database.reading() as session:
        stored = (await session.scalars(select(FirmCredential))).one()
        assert CredentialStore([SECRET]).open(stored) == {"secretKey": "sk_live_1"}
        entries = [(each.action, each.target) for each in await session.scalars(select(AuditEntry))]
    assert entries == [("credentials.set", "moyasar")]
    assert (await toril("credentials", "remove", "moyasar", "--firm", firm)).code == 0
    again = await toril("credentials", "remove", "moyasar", "--firm", firm)
    assert "has no credentials at moyasar" in again.err


async def test_what_cannot_be_credentials_is_refused_and_not_shown(toril: Toril, url: str) -> None:
    async with Database(url) as database, database.session() as session:
        firm = (await add_firm(session)).id
    for text in ("hidden-value", '{"secretKey": "hidden-value", "url": 1}', '["hidden-value"]'):
        refused = await toril("credentials", "set", "moyasar", "--firm", firm, "--file", "-", stdin=text)
        assert refused.code != 0
        assert "hidden-value" not in refused.out + refused.err


NEXT = "the next secret, of thirty-two characters or more"


async def test_a_secret_is_replaced_without_losing_what_it_encrypted(toril: Toril, url: str) -> None:
    async with Database(url) as database, database.session() as session:
        firms = [(await add_firm(session)).id for _ in range(2)]
        for firm in firms:
            for service in ("moyasar", "stripe"):
                await CredentialStore([SECRET]).put(session, service, {"secretKey": "k"}, firm_id=firm)
        await CredentialStore([NEXT]).put(session, "stripe", {"secretKey": "new"}, firm_id=firms[0])
    changed = {"TORIL_SECRET": NEXT, "TORIL_SECRET_PREVIOUS": f"{'x' * 40}, {SECRET}"}
    done = await toril("credentials", "reencrypt", "--json", **changed)
    assert done.code == 0, done.err
    assert done.json == {"found": 4, "changed": 3, "unreadable": []}
    again = await toril("credentials", "reencrypt", TORIL_SECRET=NEXT)
    assert (again.code, again.out.strip()) == (0, "0 of 4 credentials were encrypted again.")
    async with Database(url) as database, database.reading() as session:
        opened = [
            CredentialStore([NEXT]).open(each) for each in await session.scalars(select(FirmCredential))
        ]
    assert sorted(each["secretKey"] for each in opened) == ["k", "k", "k", "new"]


async def test_credentials_that_no_secret_opens_are_named_and_kept(toril: Toril, url: str) -> None:
    async with Database(url) as database, database.session() as session:
        firm = (await add_firm(session)).id
        await CredentialStore(["y" * 40]).put(session, "moyasar", {"secretKey": "k"}, firm_id=firm)
        await CredentialStore([SECRET]).put(session, "stripe", {"secretKey": "k"}, firm_id=firm)
    done = await toril("credentials", "reencrypt", TORIL_SECRET=NEXT, TORIL_SECRET_PREVIOUS=SECRET)
    assert done.code == 1
    assert "1 of 2 credentials" in done.out
    assert f"Firm {firm}'s at moyasar do not open" in done.out
    later = await toril("credentials", "reencrypt", TORIL_SECRET=NEXT, TORIL_SECRET_PREVIOUS="y" * 40)
    assert (later.code, later.out.strip()) == (0, "1 of 2 credentials were encrypted again.")


async def test_credentials_stored_meanwhile_are_left_as_they_are(url: str) -> None:
    async with Database(url) as database:
        async with database.session() as session:
            firm = (await add_firm(session)).id
            await CredentialStore([SECRET]).put(session, "moyasar", {"secretKey": "old"}, firm_id=firm)
        both = CredentialStore([NEXT, SECRET])
        async with database.reading() as session:
            (seen,) = await FirmCredentials(session).after(None, limit=10)
        async with database.session() as session:
            await both.put(session, "moyasar", {"secretKey": "new"}, firm_id=firm)
        async with database.session() as session:
            assert not await both.seal_again(session, seen)
        async with database.reading() as session:
            stored = (await session.scalars(select(FirmCredential))).one()
            assert both.open(stored) == {"secretKey": "new"}


async def test_the_doctor_says_whether_a_replaced_secret_is_still_needed(toril: Toril, url: str) -> None:
    async def told(**settings: str) -> list[tuple[str, str]]:
        report = await toril("doctor", "--json", **settings)
        return [
            (each["level"], each["about"])
            for each in report.json["findings"]
            if each["about"].startswith("TORIL_SECRET") and each["level"] != "ok"
        ]

    async with Database(url) as database, database.session() as session:
        firm = (await add_firm(session)).id
        await CredentialStore([SECRET]).put(session, "moyasar", {"secretKey": "k"}, firm_id=firm)
    changed = {"TORIL_SECRET": NEXT, "TORIL_SECRET_PREVIOUS": SECRET}
    assert await told() == []
    assert await told(TORIL_SECRET=NEXT) == [("wrong", "TORIL_SECRET")]
    assert await told(**changed) == [("warning", "TORIL_SECRET_PREVIOUS")]
    assert (await toril("credentials", "reencrypt", **changed)).code == 0
    assert await told(**changed) == [("note", "TORIL_SECRET_PREVIOUS")]
    assert await told(TORIL_SECRET=NEXT) == []
