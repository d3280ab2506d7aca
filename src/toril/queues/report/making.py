"""What the work behind a report type is given, and what it gives back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.session import Database
from toril.queues.report.filters import Condition
from toril.queues.report.kinds import Source
from toril.queues.report.queries.conditions import currencies
from toril.queues.report.queries.limits import time_limit
from toril.queues.report.saved import SavedReport
from toril.queues.report.values import to_json

#: Columns of a table that fit on a page that stands.
UPRIGHT_COLUMNS: Final = 6
#: Lines of a list that the summary has; the file has more.
SUMMARY_LINES: Final = 20
#: Clients that a report lists one by one; the others are one line.
MAX_CLIENTS: Final = 1000

JSON_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """A report that is being made.

    Attributes:
        folder: where its file is written, by any name.
        now: when the figures are taken.
        tell: reports the progress in per cent.
        limit_s: seconds that a statement may take.
    """

    database: Database
    report: SavedReport
    folder: Path
    now: datetime
    tell: Callable[[int], Awaitable[None]]
    limit_s: float

    @property
    def today(self) -> date:
        """The day it is where the firm is."""
        return self.now.astimezone(self.report.zone).date()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[AsyncSession]:
        """A transaction to read figures in, which all are of one moment.

        Raises:
            QueryTooSlowError: a statement took too long.
        """
        async with self.database.reading() as session, time_limit(session, self.limit_s):
            yield session

    async def currency(
        self, session: AsyncSession, source: Source, conditions: list[Condition]
    ) -> str | None:
        """The currency of the wanted rows; None when they have several, or there are none."""
        statement = currencies(source, conditions, firm_id=self.report.firm_id, zone=self.report.zone)
        if statement is None:
            return "SAR"
        found = (await session.scalars(statement)).all()
        return found[0] if len(found) == 1 else None

    async def write_json(self, document: Mapping[str, Any]) -> Path:
        """Write the whole report to a file."""
        path = self.folder / "report.json"
        head = {"reportId": self.report.id, "firmId": self.report.firm_id, "generatedAt": self.now}
        whole = to_json({**head, "timeZone": self.report.zone.key, **document}, self.report.zone)
        await asyncio.to_thread(path.write_bytes, orjson.dumps(whole, option=orjson.OPT_INDENT_2))
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A report that is done.

    Attributes:
        file: the draft.
        stem, suffix: what the file is to be called.
        summary: what the saved report and the job's result say of it.
        result: further fields of the job's result.
        pdf: what the job that prints it is given, if that was asked for.
        landscape: whether that is wider than high.
    """

    file: Path
    stem: str
    suffix: str = "json"
    media_type: str = JSON_TYPE
    kind: str = "report"
    summary: dict[str, Any]
    result: dict[str, Any] = field(default_factory=dict)
    pdf: dict[str, Any] | None = None
    landscape: bool = False


Maker = Callable[[Any, Making], Awaitable[Made]]
"""Makes a report of one type from its payload."""
