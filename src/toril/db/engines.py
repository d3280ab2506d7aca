"""Connections to the database, set up so that SQLite and PostgreSQL keep the same promises."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, NullPool, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from toril.db.exact_sums import add_exact_sums
from toril.db.texts import refuse_unstorable
from toril.errors import ConfigurationError, OptionError

#: Seconds SQLite waits for another process to finish writing.
SQLITE_PATIENCE = 15.0

#: Takes the right to write at once: a transaction that reads first and writes later could not get it any more
#: when another has written meanwhile.
_WRITING: Final = "BEGIN IMMEDIATE"
_READING: Final = "BEGIN"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How many connections to the database a process has, for what writes and as many again for what only reads.

    Attributes:
        size: kept open.
        overflow: opened beside them when all are in use, and closed afterwards.
        wait: seconds that a transaction waits for one when there may be no more.
    """

    size: int = 5
    overflow: int = 10
    wait: float = 10.0

    def __post_init__(self) -> None:
        if self.size < 1 or self.overflow < 0 or self.wait <= 0:
            raise OptionError(
                f"a pool has at least one connection and a wait above 0, got size={self.size}, "
                f"overflow={self.overflow}, wait={self.wait}"
            )

    def options(self) -> dict[str, Any]:
        """As SQLAlchemy takes them."""
        return {"pool_size": self.size, "max_overflow": self.overflow, "pool_timeout": self.wait}


def writing_engine(url: URL, pool: PoolLimits) -> AsyncEngine:
    """Connections for transactions that write.

    Raises:
        ConfigurationError: the driver is not installed, or the folder of a SQLite file cannot be made.
    """
    engine = _engine(url, **pool.options())
    if engine.dialect.name == "sqlite":
        _set_up_sqlite(engine, _WRITING, "foreign_keys = ON")
    return engine


def reading_engine(url: URL, pool: PoolLimits) -> AsyncEngine:
    """Connections for transactions that only read, and see the records as they were when they began.

    They have a pool of their own: many slow reads leave nobody without a connection to write by.
    """
    if url.get_backend_name() != "sqlite":
        return _engine(
            url,
            **pool.options(),
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )
    engine = _engine(url, **pool.options())
    _set_up_sqlite(engine, _READING, "query_only = ON")
    return engine


def migrating_engine(url: URL) -> AsyncEngine:
    """Connections for changes of the tables, closed after use."""
    engine = _engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        # With a write-ahead log readers and a writer do not wait for one another; the file remembers it. SQLite
        # changes a table by making a new one: with foreign keys on, dropping the old one would cascade.
        _set_up_sqlite(engine, _WRITING, "journal_mode = WAL", "foreign_keys = OFF")
    return engine


def _engine(url: URL, **options: Any) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        _make_folder(Path(url.database or ""))
    else:
        options["pool_pre_ping"] = True  # a restarted server costs no failed transaction
    try:
        engine = create_async_engine(url, json_serializer=_to_json, **options)
        refuse_unstorable(engine.sync_engine)
        return engine
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the package {error.name} is missing for {url.get_backend_name()}: pip install 'toril[db]'"
        ) from error


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the folder for the database {file} cannot be made: {error}") from error
    if file.name and not file.exists():
        # SQLite gives the files beside it, which hold records too, the mode that the database has.
        with suppress(OSError):  # what is wrong with it, SQLite says better
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))


def _set_up_sqlite(engine: AsyncEngine, begin: str, *pragmas: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        # The driver would begin transactions by itself, too late and not before DDL; we do it.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (f"busy_timeout = {int(SQLITE_PATIENCE * 1000)}", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        add_exact_sums(connection)

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    @event.listens_for(engine.sync_engine, "invalidate")
    def give_up(connection: Any, *_: Any) -> None:
        # A cancelled statement goes on in the driver's thread, and closing the connection would leave its transaction,
        # and with it the lock, to whenever the last reference to the statement is collected.
        with suppress(connection.dbapi.Error, ValueError):
            connection.run_async(lambda driver: driver.interrupt())
            connection.rollback()


def _to_json(value: Any) -> str:
    """JSON for a column. What JSON has no word for, such as a ``Decimal``, is written as text; halves of characters,
    which no text can have, are question marks."""
    return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace").decode()
