"""What all repositories share: a session, and reading a record through its firm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.base import ExecutableOption

from toril.db.base import Base
from toril.db.errors import RecordNotFoundError
from toril.db.ids import is_id

R = TypeVar("R", bound=Base)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some of the records that were asked for, and how many there are in all."""

    items: Sequence[R]
    total: int


class Repository:
    """Base of all repositories: asks within one transaction, which the caller opens and ends."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def _own(
        self,
        model: type[R],
        record_id: str,
        *which: ColumnElement[bool],
        firm_id: str,
        load: Sequence[ExecutableOption] = (),
        lock: bool = False,
    ) -> R:
        """The firm's record with this id.

        Args:
            which: finds the record when ``record_id`` is not its id but another name for it.
            load: what to load with it.
            lock: no other transaction may change it until this one ends.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        columns = model.__table__.c
        # What is no id at all finds nothing, and is not told from what is another firm's.
        if is_id(firm_id) and (which or is_id(record_id)):
            conditions = which or (columns.id == record_id,)
            statement = select(model).where(columns.firm_id == firm_id, *conditions).options(*load)
            if lock:
                statement = statement.with_for_update().execution_options(populate_existing=True)
            if (found := await self.session.scalar(statement)) is not None:
                return found
        raise RecordNotFoundError(model.__tablename__.removesuffix("s").replace("_", " "), record_id)

    async def _page(self, statement: Select[R], *, limit: int, offset: int) -> Page[R]:
        total = await self.session.scalar(
            select(func.count()).select_from(statement.order_by(None).subquery())
        )
        items = (await self.session.scalars(statement.limit(limit).offset(offset))).all()
        return Page(items, total or 0)
