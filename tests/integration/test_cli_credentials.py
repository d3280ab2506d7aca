"""``toril credentials``: firms get credentials of their own, and nothing shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.cli import Toril
from tests.support.records import add_firm

from toril.db.models import AuditEntry, FirmCredential
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
