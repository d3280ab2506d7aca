"""A time limit for statements, kept by the database itself, so that a slow report holds up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from toril.errors import UnrecoverableError
from toril.queues.report.queries.calendar import dialect_of

#: PostgreSQL's code for a statement that was cancelled, by its time limit too.
_CANCELLED: Final = "57014"


class QueryTooSlowError(UnrecoverableError):
    """The database did not answer within the time limit; asking again for the same would not help."""

    code = "query_too_slow"


@asynccontextmanager
async def time_limit(session: AsyncSession, seconds: float) -> AsyncIterator[None]:
    """Stop statements of this transaction that take longer: each on PostgreSQL, all together on SQLite.

    Raises:
        QueryTooSlowError: one was stopped.
    """
    if dialect_of(session) == "postgresql":
        ms = str(max(1, int(seconds * 1000)))
        await session.execute(select(func.set_config("statement_timeout", ms, True)))
        with _explained(seconds):
            yield
        return
    raw = await (await session.connection()).get_raw_connection()
    driver: Any = raw.driver_connection
    tasks: list[asyncio.Task[None]] = []
    alarm = asyncio.get_running_loop().call_later(
        seconds, lambda: tasks.append(asyncio.create_task(driver.interrupt(), name="toril-report-limit"))
    )
    try:
        with _explained(seconds):
            yield
    finally:
        alarm.cancel()
        await asyncio.gather(*tasks)


@contextmanager
def _explained(seconds: float) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _CANCELLED or str(error.orig) == "interrupted":
            raise QueryTooSlowError(
                f"the database needed longer than {seconds:g} s for this report and was stopped: ask for a "
                "shorter period, or narrow it with filters"
            ) from error
        raise
