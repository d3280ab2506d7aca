"""A firm with an unmistakable mark in everything it has: every column of every table, every field of its jobs in every
state, its schedules, dead letters and files. Whoever is shown a mark has been shown something of the firm's.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sql
from tests.support.payload_cases import sample
from tests.support.queue_api import end_job
from tests.support.web_people import Office

from toril.db.base import Base
from toril.db.ids import new_id
from toril.db.types import Exact, Id
from toril.engine.repeat import Repeat
from toril.engine.states import ALL

MARK: Final = "cedar4711"
_NUMBER: Final = 47_114_711
_MARKED: Final = re.compile(rf"{MARK}|\b{_NUMBER}\b", re.IGNORECASE)

#: Tables in which a request of anybody may leave a row, or a time.
_MOVING: Final = ("audit_log", "job_owners", "sessions", "users")

STATES: Final = ("waiting", "delayed", "active", "failed", "completed")


@dataclass
class MarkedFirm:
    """What was planted.

    Attributes:
        rows: the id of the marked row of each table.
        jobs: ids of jobs by queue, one in each state of each type.
        schedules, letters: keys and ids by queue.
    """

    office: Office
    rows: dict[str, str] = field(default_factory=dict)
    values: dict[str, set[str]] = field(default_factory=dict)
    jobs: dict[str, list[str]] = field(default_factory=dict)
    schedules: dict[str, str] = field(default_factory=dict)
    letters: dict[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        """All names of the firm's things."""
        jobs = {job_id for ids in self.jobs.values() for job_id in ids}
        return {self.office.firm_id, *self.rows.values(), *jobs, *self.letters.values()}

    def ids_for(self, name: str) -> list[str]:
        """What a parameter or field may be that names a record, such as ``invoice_id`` or ``phoneNumberId``."""
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        thing = snake.removesuffix("s").removesuffix("_id")
        own = [row for table, row in self.rows.items() if table.removesuffix("s").endswith(thing)]
        return [*own, *sorted(self.values.get(snake, ()))] or sorted(set(self.rows.values()))

    def job_data(self, queue: str, type: str) -> dict[str, Any]:
        return {
            "type": type,
            "data": {**sample(queue, type), "firmId": self.office.firm_id, "note": MARK},
        }

    def shown_in(self, answer: str, sent: str) -> str | None:
        """What of the firm an answer shows that was not in the request already."""
        if (found := _MARKED.search(answer)) and found[0].lower() not in sent.lower():
            return found[0]
        return next((each for each in self.ids if each in answer and each not in sent), None)

    async def job_ids(self) -> set[str]:
        """The ids of all jobs that name the firm, also of those that nobody should have been able to add."""
        found = set()
        for name, queue in self.office.api.service.queues.items():
            for job in await queue.get_jobs(ALL, 0, -1):
                if self.office.firm_id in repr(job.data):
                    found.add(f"{name} {job.id}")
        return found

    async def snapshot(self) -> dict[str, Any]:
        """All that the firm has; compare two of them to see what has changed."""
        office, kept = self.office, {}
        async with office.api.web.installation.database.reading() as session:
            for table in Base.metadata.sorted_tables:
                if table.name not in _MOVING:
                    rows = map(repr, await session.execute(sql.select(table)))
                    kept[table.name] = sorted(row for row in rows if MARK in row or office.firm_id in row)
        for name, ids in self.jobs.items():
            queue = office.api.service.queue(name)
            for job_id in ids:
                found = await queue.scripts.ask("HGETALL", queue.keys.job(job_id))
                job = await queue.get_job(job_id)
                kept[f"{name} {job_id}"] = (sorted(map(repr, found)), job and await job.state())
            kept[f"{name} schedules"] = await queue.scripts.ask(
                "ZSCORE", queue.keys.of("repeat"), self.schedules[name]
            )
        letters = office.api.service.dead_letters.queue
        for letter_id in self.letters.values():
            kept[letter_id] = (await letters.get_job(letter_id)) is not None
        return kept


async def plant(office: Office) -> MarkedFirm:
    """Mark the office's first firm."""
    firm = MarkedFirm(office)
    await _plant_rows(firm)
    for name, definition in office.api.service.definitions.items():
        types = [each.name for each in definition.types.values() if "firm_id" in each.payload.model_fields]
        if types:
            await _plant_jobs(firm, name, types)
    return firm


async def _plant_rows(firm: MarkedFirm) -> None:
    office = firm.office
    firm.rows |= {"firms": office.firm_id}
    folder = office.api.web.settings.files_path / office.firm_id / "exports"  # type: ignore[operator]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{MARK}.csv"
    path.write_text(f"name\r\n{MARK}\r\n")
    async with office.api.web.installation.database.session() as session:
        own = {
            column.name: _value(firm, column)
            for column in Base.metadata.tables["firms"].c
            if column.name != "id"
        }
        await session.execute(
            sql.update(Base.metadata.tables["firms"])
            .where(Base.metadata.tables["firms"].c.id == office.firm_id)
            .values(own)
        )
        for table in Base.metadata.sorted_tables:
            if table.name == "firms":
                continue
            values = {column.name: _value(firm, column) for column in table.c}
            values |= (
                {"path": str(path), "size": path.stat().st_size} if table.name == "generated_files" else {}
            )
            await session.execute(sql.insert(table).values(values))
            if "id" in values:
                firm.rows[table.name] = values["id"]
            for name, value in values.items():
                if name.endswith("_id") and isinstance(value, str) and MARK in value:
                    firm.values.setdefault(name, set()).add(value)


def _value(firm: MarkedFirm, column: sql.Column[Any]) -> Any:
    """A value with a mark, as far as the column's type has room for one."""
    kind = column.type
    for key in column.foreign_keys:
        return firm.rows.get(key.column.table.name)
    if column.name == "firm_id":
        return firm.office.firm_id
    if column.name == "user_id":
        return firm.office.lawyer_id
    if isinstance(kind, Id):
        return new_id()
    if isinstance(kind, sql.Enum):
        choices: type[enum.Enum] = kind.enum_class  # type: ignore[assignment]
        return next(iter(choices))
    if column.name in ("revoked_at", "used_at"):
        return None
    if isinstance(kind, Exact):
        return Decimal(_NUMBER if kind.precision - kind.scale > 8 else 1)
    if isinstance(kind, sql.JSON):
        return (
            [MARK]
            if column.default is not None and callable(column.default.arg) and _is_list(column)
            else {"a": MARK}
        )
    python = getattr(kind, "impl", kind).python_type  # type: ignore[attr-defined]
    if python is bool:
        return True
    if python is int:
        return _NUMBER
    if python is datetime:
        return datetime.now(UTC) + timedelta(days=1)
    if python is date:
        return datetime.now(UTC).date()
    if python is bytes:
        return MARK.encode()
    room = getattr(kind, "length", None) or 200
    return f"{MARK}-{column.table.name}-{column.name}"[:room] if room >= len(MARK) else "x" * min(room, 2)


def _is_list(column: sql.Column[Any]) -> bool:
    made = column.default.arg(None) if column.default is not None else None  # type: ignore[union-attr]
    return isinstance(made, list)


async def _plant_jobs(firm: MarkedFirm, name: str, types: list[str]) -> None:
    service = firm.office.api.service
    queue, ids = service.queue(name), []
    ask, keys = queue.scripts.ask, queue.keys
    for type in types:
        for state in STATES:
            job_id = f"{state}-{type}-{new_id()}"
            delay = 3600 if state == "delayed" else 0
            await queue.add("__default__", firm.job_data(name, type), job_id=job_id, delay=delay)
            await queue.actions.add_log(job_id, MARK)
            await queue.actions.update_progress(job_id, MARK)
            if state in ("failed", "completed"):
                await end_job(service, name, job_id, state)
                told = ("returnvalue", f'"{MARK}"', "failedReason", MARK, "stacktrace", f'["{MARK}"]')
                await ask("HSET", keys.job(job_id), *told)
            elif state == "active":
                await ask("LREM", keys.of("wait"), 0, job_id)
                await ask("LPUSH", keys.of("active"), job_id)
                await ask("SET", f"{keys.job(job_id)}:lock", "another worker", "PX", 600_000)
            ids.append(job_id)
    firm.jobs[name] = ids
    schedule = f"hourly-{new_id()}"
    await queue.add("__default__", firm.job_data(name, types[0]), repeat=Repeat(every=3600), job_id=schedule)
    firm.schedules[name] = f"__default__:{schedule}::3600000"
    letter = {
        "queue": name, "jobId": f"dead-{new_id()}", "name": "__default__", "data": firm.job_data(name, types[0]),
        "opts": {"attempts": 1}, "failedReason": MARK, "stacktrace": [MARK], "attemptsMade": 1, "stalledCounter": 0,
        "timestamp": 1, "processedOn": 2, "failedAt": 3, "unreadable": [],
    }  # fmt: skip
    letter_id = f"1:{name}:{letter['jobId']}"
    await service.dead_letters.queue.add("__default__", letter, job_id=letter_id)
    firm.letters[name] = letter_id
