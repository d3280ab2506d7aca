"""What went wrong in the database, as an error of ours that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from toril.db.errors import (
    DatabaseSchemaError,
    DatabaseUnavailableError,
    RecordConflictError,
    RecordValueError,
)
from toril.errors import ConfigurationError, TorilError

#: Codes of PostgreSQL by their beginning. Source: its manual, appendix "Error Codes".
_REFUSED: Final = ("28", "3D")  # authorization, no such database
_NO_SUCH_TABLE: Final = ("42P01", "42703")  # table, column
_BAD_VALUE: Final = "22"  # too long, or a character that text cannot have
#: Connection, deadlock, resources, lock, shutdown, disk.
_PASSING: Final = ("08", "40", "53", "55P03", "57P", "58")

#: Words of SQLite, which has no codes that reach us.
_SQLITE_NO_SUCH_TABLE: Final = ("no such table", "no such column", "has no column named")
_SQLITE_PASSING: Final = ("locked", "busy", "disk I/O error", "disk is full")
_SQLITE_REFUSED: Final = ("unable to open", "not a database", "readonly", "malformed")


@contextmanager
def connecting(database: str) -> Iterator[None]:
    """Around what connects, where drivers raise what they like: an error of ours for any of theirs.

    Args:
        database: its address for people, without a password.
    """
    try:
        yield
    except Exception as error:
        if (ours := _explain(error, database)) is None:
            text = _first_line(error) or type(error).__name__
            refused = (getattr(error, "sqlstate", None) or "").startswith(_REFUSED)
            ours = (
                ConfigurationError(f"{database} cannot be used: {text}")
                if refused
                else DatabaseUnavailableError(f"{database} cannot be reached: {text}")
            )
        raise ours from error


@contextmanager
def asking(database: str) -> Iterator[None]:
    """Around statements: an error of ours for theirs, unless it is a fault of the program."""
    try:
        yield
    except SQLAlchemyError as error:
        if (ours := _explain(error, database)) is None:
            raise
        raise ours from error


def _explain(error: Exception, database: str) -> TorilError | None:
    if isinstance(error, PoolTimeoutError):
        return DatabaseUnavailableError(
            f"all connections to {database} are in use, and none became free in time: let more be opened "
            "(DATABASE_POOL_SIZE, DATABASE_POOL_OVERFLOW), or wait longer (DATABASE_POOL_WAIT)"
        )
    if isinstance(error, StatementError) and isinstance(error.orig, LookupError):
        return RecordValueError(str(error.orig))  # a choice that is none
    if not isinstance(error, DBAPIError):
        return None
    text = _first_line(error.orig)
    if isinstance(error, IntegrityError):
        return RecordConflictError(f"the database refused the change: {text}")
    code = getattr(error.orig, "sqlstate", None) or ""
    if code in _NO_SUCH_TABLE or _has(text, _SQLITE_NO_SUCH_TABLE):
        return DatabaseSchemaError(
            f"{database} has not the tables of this version ({text}): run toril db upgrade"
        )
    if code.startswith(_BAD_VALUE):
        return RecordValueError(f"the database cannot keep a value: {text}")
    if code.startswith(_REFUSED) or _has(text, _SQLITE_REFUSED):
        return ConfigurationError(f"{database} cannot be used: {text}")
    if error.connection_invalidated or code.startswith(_PASSING) or _has(text, _SQLITE_PASSING):
        return DatabaseUnavailableError(f"{database} is not available: {text}")
    return None


def _first_line(error: BaseException | None) -> str:
    # A driver's class goes before its words; further lines can hold values of the row.
    return (str(error).splitlines() or [""])[0].rpartition(">: ")[2]


def _has(text: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in text for phrase in phrases)
