"""``toril db``: the tables of the application's records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from toril.cli.command import Call, command
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import confirm, print_json, print_line
from toril.db.errors import DatabaseUnavailableError
from toril.errors import ConfigurationError

if TYPE_CHECKING:
    from toril.db.migrate import SchemaVersion
    from toril.db.session import Database


@command(
    examples="""
    toril db upgrade                                         in DATABASE_URL, else in SQLite in TORIL_HOME
    DATABASE_URL=postgresql://me@db/firm toril db upgrade    in another database
    """
)
async def upgrade_tables(call: Call) -> None:
    """Make the tables, or bring them to this version.

    Nothing happens when they are so already, and no record is lost. Several processes may do it at once: all but
    one wait, and find it done.
    """
    async with open_database(call) as database:
        before = await database.schema_version()
        _tell(call, database, await database.upgrade(), before=before)


@command(
    examples="""
    toril db current
    toril db current --json    for a script; exits with 1 when `toril db upgrade` is due
    """
)
async def show_version(call: Call) -> ExitCode:
    """Show which tables there are, and whether an upgrade is due."""
    async with open_database(call) as database:
        version = await database.schema_version()
        _tell(call, database, version, before=version)
        return ExitCode.DONE if version.is_current else ExitCode.FAILED


@command(
    examples="""
    toril db downgrade 0003         to what they were after migration 0003
    toril db downgrade base --yes   remove all tables, without asking
    """
)
async def downgrade_tables(
    call: Call,
    revision: Annotated[
        str, typer.Argument(metavar="REVISION", help="A migration, or base.", show_default=False)
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
) -> None:
    """Take the tables back to an earlier version.

    The records in tables and columns that the earlier version did not have are deleted.
    """
    async with open_database(call) as database:
        before = await database.schema_version()
        confirm(
            f"take {database} from {_named(before.current)} back to {revision!r}, deleting every record in tables "
            "that were added since",
            yes=yes,
            as_json=call.json,
        )
        _tell(call, database, await database.downgrade(revision), before=before)


@asynccontextmanager
async def open_database(call: Call) -> AsyncIterator[Database]:
    """The records that the settings name; closed at the end of the block.

    Raises:
        ConfigurationError: an extra is not installed, or DATABASE_URL cannot be used.
        CommandError: the database cannot be reached.
    """
    try:
        from toril.db.session import Database
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"records need the package {error.name!r}: pip install 'toril[db]'"
        ) from error
    try:
        async with Database(call.settings.database_url, home=call.settings.home) as database:
            yield database
    except DatabaseUnavailableError as error:
        raise CommandError(
            str(error),
            exit=ExitCode.UNREACHABLE,
            code=error.code,
            hint="is the server running, and is DATABASE_URL right?",
        ) from error


def _tell(call: Call, database: Database, version: SchemaVersion, *, before: SchemaVersion) -> None:
    if call.json:
        print_json(
            {
                "database": str(database),
                "before": before.current,
                "current": version.current,
                "head": version.head,
            }
        )
        return
    due = "up to date" if version.is_current else f"this version needs {version.head}: run toril db upgrade"
    if before.current == version.current:
        print_line(f"{database} has {_named(version.current)}; {due}.")
    else:
        print_line(f"{database} had {_named(before.current)} and has now {_named(version.current)}; {due}.")


def _named(revision: str | None) -> str:
    return "no tables" if revision is None else f"the tables of {revision}"
