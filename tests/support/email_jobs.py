"""E-mail jobs for tests: a job that needs no queue, and mails to put in one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from toril.queues.email import Mail, parse_mailbox


class PlainJob:
    """What a processor sees of a job, keeping all it was told."""

    def __init__(self, data: Any, *, id: str = "1") -> None:
        self.id = id
        self.data = data
        self.attempts_made = 0
        self.progress: list[Any] = []
        self.rows: list[str] = []

    async def update_progress(self, progress: Any) -> None:
        self.progress.append(progress)

    async def log(self, row: str) -> int:
        self.rows.append(row)
        return len(self.rows)


def transactional(**fields: Any) -> dict[str, Any]:
    """A job's data of the type transactional; ``fields`` replace the defaults."""
    mail = {"to": "client@example.com", "subject": "Invoice 204", "html": "<p>It is due.</p>"}
    return {"type": "transactional", "data": mail | fields}


def a_mail(*, to: tuple[str, ...] = ("client@example.com",), **fields: Any) -> Mail:
    """A small mail; ``fields`` replace the defaults."""
    defaults: dict[str, Any] = {
        "message_id": "<email.1@mail.example.com>",
        "sender": parse_mailbox("Office <no-reply@mail.example.com>"),
        "to": tuple(parse_mailbox(text) for text in to),
        "subject": "Invoice 204",
        "text": "It is due.",
        "date": datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
    }
    return Mail(**(defaults | fields))


async def until(check: Callable[[], Awaitable[bool] | bool], *, within_s: float = 5.0) -> None:
    """Return as soon as ``check`` holds; raise ``TimeoutError`` if it does not in time."""
    async with asyncio.timeout(within_s):
        while True:
            held = check()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.005)
