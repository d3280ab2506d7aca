"""Reading very many rows with little memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncSession


async def stream(
    session: AsyncSession, statement: Select[Any], *, chunk: int = 1000
) -> AsyncIterator[Sequence[Row[Any]]]:
    """The rows of ``statement``, ``chunk`` at a time, fetched from the database as they are wanted.

    Select columns rather than records where there are many: they cost a fraction. Use it within
    ``Database.reading()``, which sees one state of the records however long it takes.
    """
    result = await session.stream(statement.execution_options(yield_per=chunk))
    try:
        async for rows in result.partitions():
            yield rows
    finally:
        await result.close()
