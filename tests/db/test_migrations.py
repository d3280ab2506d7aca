"""Migrations make the tables that the models describe, whoever runs them and however many at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from tests.support.databases import KINDS, Databases
from tests.support.records import add_firm

from toril.db.errors import DatabaseSchemaError
from toril.db.models import Firm
from toril.db.session import Database
from toril.errors import OptionError


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Firm.metadata))


def rules(connection: Connection) -> dict[str, set[str]]:
    """What ``compare_metadata`` does not look at: the check constraints, by table."""
    found = inspect(connection)
    return {
        table: {str(check["name"]) for check in found.get_check_constraints(table)}
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def described_rules() -> dict[str, set[str]]:
    return {
        table.name: {str(each.name) for each in table.constraints if type(each).__name__ == "CheckConstraint"}
        for table in Firm.metadata.tables.values()
    }


async def look(database: Database, function: Any) -> Any:
    async with database.reading() as session:
        return await (await session.connection()).run_sync(function)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_migrated_tables_are_those_of_the_models(databases: Databases, kind: str) -> None:
    async with Database(await databases.empty(kind)) as database:
        version = await database.schema_version()
        assert version.current is None
        assert not version.is_current
        assert (await database.upgrade()).is_current
        assert (await database.schema_version()).is_current
        assert await look(database, differences) == []
        assert await look(database, rules) == described_rules()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_upgrade_of_what_is_up_to_date_keeps_all_records(databases: Databases, kind: str) -> None:
    async with Database(await databases.empty(kind)) as database:
        await database.upgrade()
        async with database.session() as session:
            firm = await add_firm(session)
        await database.upgrade()
        async with database.reading() as session:
            assert await session.get(Firm, firm.id) is not None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_downgrade_goes_back_step_by_step_and_up_again(databases: Databases, kind: str) -> None:
    async with Database(await databases.empty(kind)) as database:
        head = (await database.upgrade()).head
        assert (await database.downgrade("-1")).current != head
        assert (await database.upgrade()).is_current
        assert (await database.downgrade("base")).current is None
        tables = await look(database, lambda connection: inspect(connection).get_table_names())
        assert tables == ["alembic_version"]
        assert (await database.upgrade()).is_current
        assert await look(database, differences) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_revision_that_is_none_changes_nothing(databases: Databases, kind: str) -> None:
    async with Database(await databases.fresh(kind)) as database:
        with pytest.raises(OptionError, match=r"'0000'.*there are base, 0001"):
            await database.downgrade("0000")
        assert (await database.schema_version()).is_current


@pytest.mark.parametrize("kind", KINDS)
async def test_tables_of_a_newer_version_are_left_alone(databases: Databases, kind: str) -> None:
    async with Database(await databases.fresh(kind)) as database:
        async with database.session() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        for change in (database.upgrade, lambda: database.downgrade("base")):
            with pytest.raises(DatabaseSchemaError, match=r"'9999'.*newer"):
                await change()


@pytest.mark.parametrize("kind", KINDS)
async def test_processes_that_upgrade_at_once_wait_for_one_another(databases: Databases, kind: str) -> None:
    url = await databases.empty(kind)
    code = (
        "import asyncio, sys\nfrom toril.db.session import Database\n"
        "async def main():\n"
        "    async with Database(sys.argv[1]) as database:\n"
        "        assert (await database.upgrade()).is_current\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-W", "error", "-c", code, url]
    started = [
        await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in started:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
    async with Database(url) as database:
        assert await look(database, differences) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_migration_that_fails_leaves_nothing(databases: Databases, kind: str) -> None:
    async with Database(await databases.empty(kind)) as database:
        async with database.session() as session:
            await session.execute(
                text("CREATE TABLE notifications (id INTEGER)")
            )  # in the way of a later one
        with pytest.raises(DBAPIError, match=r"notifications.*already exists"):
            await database.upgrade()
        tables = await look(database, lambda connection: inspect(connection).get_table_names())
        assert tables == ["notifications"]
