"""The doctor's look at the records: sign in, write nothing, and compare the tables with what this version needs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from toril.cli.check_server import judge_clock
from toril.cli.finding import Finding
from toril.errors import ConfigurationError, TorilError
from toril.settings import Settings

if TYPE_CHECKING:
    from toril.db.migrate import SchemaVersion
    from toril.db.session import Database

_ABOUT = "database"
_UPGRADE = "run toril db upgrade; toril serve does so when it starts"


async def check_database(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the database lets us in, may be written to, and has the tables of this version."""
    try:
        from toril.db.session import Database
        from toril.db.url import database_url
    except ModuleNotFoundError as error:
        text = f"records need the package {error.name!r}, which is not installed"
        yield Finding(level="note", about=_ABOUT, text=text, hint="pip install 'toril[db]'")
        return
    try:
        url = database_url(settings.database_url, home=settings.home)
        is_sqlite = url.get_backend_name() == "sqlite"
        if is_sqlite and (absent := _no_file(Path(url.database or ""))):
            yield absent
            return
        async with Database(settings.database_url, home=settings.home) as database:
            async for finding in _look(database, is_sqlite=is_sqlite):
                yield finding
    except ConfigurationError as error:
        hint = "check user, password and name of the database in DATABASE_URL, and that it may be written to"
        yield Finding(level="wrong", about=_ABOUT, text=str(error), hint=hint)
    except TorilError as error:
        hint = "is it running, and is DATABASE_URL right?"
        yield Finding(level="wrong", about=_ABOUT, text=str(error), hint=hint)


async def _look(database: Database, *, is_sqlite: bool) -> AsyncIterator[Finding]:
    from sqlalchemy import text

    yield _judge(str(database), await database.schema_version())
    async with database.session() as session:  # on SQLite it takes the right to write
        if is_sqlite:
            return
        before = time.time()
        row = (
            await session.execute(
                text(
                    "SELECT extract(epoch FROM clock_timestamp()), current_setting('transaction_read_only'), "
                    "current_setting('max_connections'), (SELECT count(*) FROM pg_stat_activity)"
                )
            )
        ).one()
        after = time.time()
    yield judge_clock("the database's", float(row[0]) - (before + after) / 2, off_by=(after - before) / 2)
    if row[1] == "on":
        yield Finding(
            level="wrong",
            about=_ABOUT,
            text="it takes no changes: it is a standby, or its transactions are read-only",
            hint="put the primary's address into DATABASE_URL",
        )
    if int(row[3]) > 0.9 * int(row[2]):
        yield Finding(
            level="warning",
            about=_ABOUT,
            text=f"{row[3]} of its {row[2]} connections are in use",
            hint="raise max_connections, or run fewer processes",
        )


def _judge(name: str, version: SchemaVersion) -> Finding:
    if version.is_current:
        return Finding(level="ok", about=_ABOUT, text=f"{name} lets us in and has the tables of this version")
    if version.current is None:
        return Finding(level="note", about=_ABOUT, text=f"{name} has no tables yet", hint=_UPGRADE)
    if version.is_newer:
        return Finding(
            level="wrong",
            about=_ABOUT,
            text=f"{name} has tables of revision {version.current}, which this version does not know",
            hint="a newer version of toril made them: use that",
        )
    return Finding(
        level="wrong",
        about=_ABOUT,
        text=f"{name} has the tables of {version.current}, and this version needs {version.head}",
        hint=_UPGRADE,
    )


def _no_file(path: Path) -> Finding | None:
    path = path.resolve()
    if path.exists():
        return None
    if path.parent.is_dir() or not path.parent.exists():
        text = f"there is no SQLite file {path} yet"
        return Finding(level="note", about=_ABOUT, text=text, hint="toril serve makes it when it starts")
    return Finding(
        level="wrong",
        about=_ABOUT,
        text=f"{path.parent}, where the SQLite file should be, is no folder",
        hint="set DATABASE_URL or TORIL_HOME to another place",
    )
