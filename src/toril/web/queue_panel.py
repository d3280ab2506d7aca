"""What the queue endpoints work with, whichever application they are part of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Path, Query
from starlette.requests import HTTPConnection

from toril.engine.queue import Queue
from toril.errors import JobNotFoundError, OptionError
from toril.queues.texts import storable
from toril.service import QueueService
from toril.web.errors import Forbidden, NotFound
from toril.web.event_feed import EventFeeds
from toril.web.firm_jobs import firm_of

T = TypeVar("T")

#: Where ``get_panel`` finds the panel of a request; set by what lets the request in.
SCOPE_KEY: Final = "toril.panel"

#: Seconds that a call about all jobs of a queue may take; then it answers how far it came.
WORKS_FOR: Final = 8.0

#: Jobs on one page.
MOST_JOBS: Final = 200

#: Writes down what is done, before it is done: action, target, details.
Record = Callable[[str, str, Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One request's view of the queues.

    Attributes:
        record: None where nobody keeps an audit log.
        still_in: raises when whoever asks would not be let in any more; None where that is not known.
        firm_id: whoever asks sees, adds and changes only this firm's jobs; None for who runs the installation.
        user_id: who asks; None where that is not known.
    """

    service: QueueService
    feeds: EventFeeds
    record: Record | None = None
    still_in: Callable[[], Awaitable[object]] | None = None
    firm_id: str | None = None
    user_id: str | None = None

    def queue(self, name: str) -> Queue:
        """The queue of this name.

        Raises:
            NotFound: there is none.
        """
        queue = self.service.queues.get(name)
        if queue is None:
            near = get_close_matches(name, self.service.queues, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self.service.queues)}"
            raise NotFound(f"there is no queue {name!r}; {hint}", code="queue_not_found")
        return queue

    def require_installation(self) -> None:
        """Only for who runs the installation: it is about jobs of all firms.

        Raises:
            Forbidden: whoever asks belongs to a firm.
        """
        if self.firm_id is not None:
            raise Forbidden("this concerns the jobs of all firms: ask who runs the installation")

    async def require_own(self, name: str, job_id: str) -> None:
        """Let whoever belongs to a firm do nothing with another firm's job, as if there were none.

        Raises:
            JobNotFoundError: it is another firm's, or nobody's, or there is none.
        """
        if self.firm_id is None:
            return
        job = await self.queue(name).get_job(job_id)
        if job is None or firm_of(job.data) != self.firm_id:
            raise JobNotFoundError(
                job_id, f"queue {name!r} has no job {job_id!r}: never added, removed, or trimmed"
            )

    async def audit(self, action: str, target: str, **details: Any) -> None:
        """Write down what is about to be done."""
        if self.record is not None:
            await self.record(action, storable(target), storable(details))


async def get_panel(connection: HTTPConnection) -> Panel:
    """The panel of a request that has been let in."""
    panel: Panel = connection.scope[SCOPE_KEY]
    return panel


Panelled = Annotated[Panel, Depends(get_panel)]
QueueName = Annotated[str, Path(description="Name of the queue.", examples=["pdf"])]
JobId = Annotated[
    str,
    Path(
        description="Id of the job; characters that mean something in a path are percent-encoded, `/` as `%2F`.",
        examples=["pdf-1732400000000-k3v9x0q2a"],
    ),
]
Start = Annotated[int, Query(description="First place, from 0; negative ones count from the end.")]
End = Annotated[int, Query(description="Last place, included; negative ones count from the end.")]


def page_of(start: int, end: int, total: int, *, most: int = MOST_JOBS) -> tuple[int, int]:
    """First and last place of a page, neither of them negative; at most ``most`` places.

    Raises:
        OptionError: a place is past all numbers that the server knows.
    """
    if max(abs(start), abs(end)) > 2**53:
        raise OptionError("start and end are places, no larger than 2 ** 53")
    first = max(0, start + total) if start < 0 else start
    last = end + total if end < 0 else end
    return first, min(last, first + most - 1)


async def in_time(act: Awaitable[T]) -> tuple[T | None, bool]:
    """The result of work done in steps, and True; None and False when it was stopped in between, after some seconds."""
    try:
        async with asyncio.timeout(WORKS_FOR) as limit:
            return await act, True
    except TimeoutError:
        if not limit.expired():
            raise
        return None, False
