"""``toril suppressions``: the list of addresses that get no more mail, by command."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select
from tests.support.cli import Toril
from tests.support.records import add_firm

from toril.db.models import AuditEntry
from toril.db.session import Database


async def test_addresses_are_added_listed_and_removed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    async with Database(url) as database:
        await database.upgrade()
        async with database.session() as session:
            firm = (await add_firm(session)).id
    toril = Toril(tmp_path, {"DATABASE_URL": url, "TORIL_HOME": str(tmp_path / "home")})
    assert (await toril("suppressions", "add", "A@Client.example", "--firm", firm)).code == 0
    bounced = await toril("suppressions", "add", "a@client.example", "--reason", "bounced", "--json")
    assert bounced.json["new"] is True
    both = await toril("suppressions", "add", "a@client.example", "--firm", firm, "--reason", "bounced")
    assert (both.code, "leave --firm out" in both.err) == (2, True)
    assert (await toril("suppressions", "add", "nobody")).code == 2
    listed = await toril("suppressions", "list", "--json")
    assert [(each["email"], each["reason"], each["firmId"]) for each in listed.json] == [
        ("a@client.example", "bounced", None),
        ("a@client.example", "unsubscribed", firm),
    ]
    removed = await toril("suppressions", "remove", "a@CLIENT.example", "--json")
    assert removed.json["removed"] == 2
    again = await toril("suppressions", "remove", "a@client.example")
    assert "is not on the list" in again.err
    async with Database(url) as database, database.reading() as session:
        entries = [each.action for each in await session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert entries == ["suppression.add", "suppression.add", "suppression.remove"]
