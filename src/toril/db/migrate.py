"""Brings the tables of a database to a version: Alembic's migrations, run one process at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, text

from toril.db.engines import migrating_engine
from toril.db.errors import DatabaseSchemaError
from toril.db.failures import asking, connecting
from toril.errors import OptionError

#: The lock of PostgreSQL that a migration holds: "toril" in ASCII.
_LOCK: Final = int.from_bytes(b"toril", "big")


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """Which tables a database has.

    Attributes:
        current: revision of the tables that are there; None when there are none.
        head: revision that this version of Toril needs.
    """

    current: str | None
    head: str

    @property
    def is_current(self) -> bool:
        """Whether the tables are the needed ones."""
        return self.current == self.head

    @property
    def is_newer(self) -> bool:
        """Whether the tables are those of a version that this one does not know."""
        return self.current is not None and self.current not in _revisions(_config())


async def upgrade(url: URL, database: str) -> SchemaVersion:
    """Make all tables, or change them to what this version needs; nothing happens when they are so already.

    Args:
        database: its address for people.
    """

    def run(connection: Connection, config: Config) -> None:
        _require_known(connection, config, database)
        command.upgrade(config, "head")

    return await _under_lock(url, database, run)


async def downgrade(url: URL, database: str, revision: str) -> SchemaVersion:
    """Take the tables back to ``revision``, or remove them all with ``base``.

    Raises:
        OptionError: there is no such revision before the current one.
    """

    def run(connection: Connection, config: Config) -> None:
        _require_known(connection, config, database)
        try:
            command.downgrade(config, revision)
        except CommandError as error:
            known = ", ".join(["base", *reversed(_revisions(config))])
            raise OptionError(f"cannot go back to {revision!r}: {error}; there are {known}") from error

    return await _under_lock(url, database, run)


def look(connection: Connection) -> SchemaVersion:
    """The version of the tables that a connection sees."""
    return SchemaVersion(current=_current(connection), head=_revisions(_config())[0])


async def _under_lock(url: URL, database: str, run: Callable[[Connection, Config], None]) -> SchemaVersion:
    """Run ``run`` in one transaction that no other migration can run beside."""
    engine = migrating_engine(url)
    try:
        with asking(database):
            async with AsyncExitStack() as stack:
                with connecting(database):
                    connection = await stack.enter_async_context(engine.begin())
                if connection.dialect.name == "postgresql":
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                return await connection.run_sync(_run, run)
    finally:
        await engine.dispose()


def _run(connection: Connection, run: Callable[[Connection, Config], None]) -> SchemaVersion:
    config = _config()
    config.attributes["connection"] = connection
    run(connection, config)
    return look(connection)


def _config() -> Config:
    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _revisions(config: Config) -> list[str]:
    """All revisions, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


def _require_known(connection: Connection, config: Config, database: str) -> None:
    current = _current(connection)
    if current is not None and current not in _revisions(config):
        raise DatabaseSchemaError(
            f"{database} has tables of revision {current!r}, which this version of Toril does not know: "
            "a newer one made them; use that, or a copy from before"
        )
