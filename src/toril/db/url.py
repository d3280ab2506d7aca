"""Which database: from ``DATABASE_URL`` to an address for the drivers that Toril uses."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from toril.errors import ConfigurationError

SQLITE_FILE: Final = "toril.db"

#: What may follow the ``?`` of a PostgreSQL URL, and what asyncpg calls it.
_POSTGRES_OPTIONS: Final = {"host": "host", "port": "port", "ssl": "ssl", "sslmode": "ssl"}


def database_url(text: str | None = None, *, home: Path = Path(".toril")) -> URL:
    """The address of the database, with an asynchronous driver.

    Args:
        text: ``postgresql://user:password@host/name`` or ``sqlite:///path``; a driver in it is not regarded.
            None is a SQLite file in ``home``.

    Raises:
        ConfigurationError: it is no such URL, or has an option that is not known.
    """
    if text is None:
        return URL.create("sqlite+aiosqlite", database=str(home / SQLITE_FILE))
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigurationError(
            "DATABASE_URL cannot be read: it must look like postgresql://user:password@host/name or sqlite:///path"
        ) from None
    kind = url.drivername.partition("+")[0]
    if kind == "sqlite":
        return _sqlite(url)
    if kind in ("postgresql", "postgres"):
        return _postgres(url)
    raise ConfigurationError(f"DATABASE_URL is for {kind!r}; there are postgresql:// and sqlite:///")


def _sqlite(url: URL) -> URL:
    if not url.database or url.database.startswith((":memory:", "file:")) or url.query:
        raise ConfigurationError(
            "DATABASE_URL must name a file and nothing else, such as sqlite:///records.db: "
            "records in memory would be this process's alone"
        )
    return url.set(drivername="sqlite+aiosqlite")


def _postgres(url: URL) -> URL:
    query = {}
    for name, value in url.query.items():
        if name not in _POSTGRES_OPTIONS:
            known = ", ".join(sorted(_POSTGRES_OPTIONS))
            raise ConfigurationError(f"DATABASE_URL has the option {name!r}; it may have {known}")
        query[_POSTGRES_OPTIONS[name]] = value
    return url.set(drivername="postgresql+asyncpg", query=query)
