"""Storing rows that may be there already, so that doing it twice changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.base import Base, Stamped
from toril.db.types import utc_now

Row = Mapping[str, Any]


async def insert_new(
    session: AsyncSession, model: type[Base], rows: Iterable[Row], *, key: Sequence[str]
) -> set[tuple[Any, ...]]:
    """Insert the rows that are not there yet; returns the keys of those that were inserted.

    A row that another unique constraint of the table refuses is not inserted either: of two transactions that insert
    the same row at once, PostgreSQL may notice it by any of them. Where that is not the row with this key, the caller
    finds no row with it.

    Args:
        rows: values by attribute, the same attributes in each. Of several with one key the last counts.
        key: attributes of a unique constraint.
    """
    found = _by_key(rows, key)
    if not found:
        return set()
    statement = _insert(session, model).on_conflict_do_nothing()
    returned = await session.execute(
        statement.returning(*(getattr(model, name) for name in key)), list(found.values())
    )
    return {tuple(row) for row in returned}


async def upsert(
    session: AsyncSession,
    model: type[Base],
    rows: Iterable[Row],
    *,
    key: Sequence[str],
    change: Sequence[str],
) -> int:
    """Insert rows, or change those that are there; returns how many were not there before.

    Args:
        rows, key: as for ``insert_new``.
        change: attributes that a row which is there takes from the new one.
    """
    found = _by_key(rows, key)
    new = await insert_new(session, model, found.values(), key=key)
    if old := [row for row_key, row in found.items() if row_key not in new]:
        insert = _insert(session, model)
        values = dict(
            zip(_columns(model, change), (insert.excluded[c] for c in _columns(model, change)), strict=True)
        )
        if issubclass(model, Stamped):
            values["updated_at"] = utc_now()
        await session.execute(
            insert.on_conflict_do_update(index_elements=_columns(model, key), set_=values), old
        )
    return len(new)


def _insert(session: AsyncSession, model: type[Base]) -> Any:
    """An INSERT that knows ON CONFLICT; both dialects have the same."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(model)


def _by_key(rows: Iterable[Row], key: Sequence[str]) -> dict[tuple[Any, ...], Row]:
    found = {tuple(row[name] for name in key): dict(row) for row in rows}
    # Always in the same order: transactions that store the same rows in different ones wait for one another for ever.
    return {row_key: found[row_key] for row_key in sorted(found, key=repr)}


def _columns(model: type[Base], attributes: Sequence[str]) -> list[str]:
    """Names in the table; one of an attribute may differ."""
    mapper = inspect(model)
    return [mapper.columns[name].name for name in attributes]
