"""What happens in queues, numbered, and kept for a while for readers that come back.

Published messages are not kept by the server, so each process that has readers keeps the newest ones itself. Ids are
good in the process that gave them; whoever comes back with another's is told of a gap.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson

from toril.engine.events import EventStream
from toril.engine.portions import read_in_portions
from toril.engine.queue import Queue
from toril.web.answers import Json
from toril.web.errors import Overloaded, TooManyRequests
from toril.web.firm_jobs import firm_of

#: Name of the event that says that others are missing here.
GAP: Final = "gap"

#: Events kept for each queue.
KEPT: Final = 1000

#: Bytes of events that a reader is given at a time.
AT_ONCE_BYTES: Final = 64 * 1024

#: Bytes of a result or a progress in an event; larger ones are left out.
_LARGEST_VALUE: Final = 16 * 1024

#: Seconds after which somebody who has too many streams may try again.
_COME_BACK: Final = 5.0

#: Jobs whose firms are remembered.
_MOST_FIRMS: Final = 20_000

#: Events with which a job comes into being, or begins.
_BEGINNINGS: Final = frozenset({"waiting", "delayed", "active"})

#: Seconds after the last reader for which a feed goes on to listen, as readers come back.
_LINGER: Final = 60.0


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One event: its number in the feed, its name, and what is told of it as JSON."""

    number: int
    name: str
    data: bytes
    job_id: str | None = None


class EventFeed:
    """The events of one queue, as long as somebody reads them.

    Attributes:
        epoch: names this feed in the ids of its events.
    """

    def __init__(self, queue: Queue, *, kept: int = KEPT, linger: float = _LINGER) -> None:
        self._queue, self._linger = queue, linger
        self._events: deque[FeedEvent] = deque(maxlen=kept)
        self._arrived = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._readers = 0
        self.epoch = secrets.token_hex(4)
        self.newest = 0  #: number of the last event
        self._hears = False
        self._firms: OrderedDict[str, str | None] = OrderedDict()  # by the job's id

    async def open(self) -> None:
        """Return when what happens from now on is heard.

        Raises:
            QueueUnavailableError: the server cannot be reached.
        """
        if not self.listens:
            # What happened since it last listened is lost: no id from before is followed without a gap.
            self._events.clear()
            self._firms.clear()
            self.newest += 1
            self._hears = False
            self._listening = asyncio.create_task(self._listen(), name="toril-event-feed")
            await asyncio.sleep(0)  # lets it ask for its subscription
        await self._queue.subscriber.ready(self._queue.scripts.patience)
        self._hears = True

    @property
    def listens(self) -> bool:
        """False before it was opened, and once its queue was closed or nobody has read it for a while."""
        return self._listening is not None and not self._listening.done()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the feed listening meanwhile."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    def id_of(self, number: int) -> str:
        """What readers are given, and give back."""
        return f"{self.epoch}-{number}"

    def number_of(self, event_id: str) -> int | None:
        """The number in an id; None if it is not one of this feed's."""
        epoch, _, number = event_id.partition("-")
        known = epoch == self.epoch and number.isdecimal() and len(number) < 16
        return int(number) if known and int(number) <= self.newest else None

    def after(self, number: int, most: int = AT_ONCE_BYTES) -> tuple[list[FeedEvent], bool]:
        """The next events that are kept behind ``number``, and whether none between was given up.

        Args:
            most: bytes of them together. A reader who does not read holds what it was given, also when it is kept no
                more here; so it is given little at a time, and must come back for the rest.
        """
        events: list[FeedEvent] = []
        for event in self._events:
            if event.number <= number:
                continue
            most -= len(event.data)
            if events and most < 0:
                break
            events.append(event)
        oldest = events[0].number if events else self.newest + 1
        return events, oldest == number + 1

    async def of_firm(self, events: list[FeedEvent], firm_id: str) -> list[FeedEvent]:
        """Those about the firm's jobs, and those about no job.

        Whose a job is, is looked up when it is added or begins, so that it is known when the job is deleted as it ends.
        What is not known is nobody's.

        Raises:
            QueueUnavailableError: it must be looked up, and the server cannot be reached.
        """
        ids = {event.job_id for event in events if event.job_id is not None} - self._firms.keys()
        async for read in read_in_portions(self._queue, list(ids)):
            for job_id, _, job in read:
                self._firms[job_id] = None if job is None else firm_of(job.data)
        shown = [each for each in events if each.job_id is None or self._firms.get(each.job_id) == firm_id]
        while len(self._firms) > _MOST_FIRMS:
            self._firms.popitem(last=False)
        return shown

    async def wait(self, number: int, within: float) -> None:
        """Return when there are events behind ``number``, when it has ended, or after ``within`` seconds."""
        if self.newest > number or not self.listens:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._arrived.wait()

    def end(self) -> None:
        """Listen no more; whoever reads is told so."""
        if self._listening is not None:
            self._listening.cancel()

    async def _listen(self) -> None:
        stream = self._queue.subscriber.stream()
        take_back = self._queue.subscriber.on_reconnect(self._missed)
        linger = asyncio.create_task(self._end_unread(stream), name="toril-event-feed-idle")
        try:
            async for event in stream:
                told = {} if event.job_id is None else {"jobId": event.job_id}
                if event.job_id is not None and event.name in _BEGINNINGS:
                    self._firms.pop(event.job_id, None)  # another job may have had the id
                self._put(event.name, _with_value(told, event.value), event.job_id)
        finally:
            take_back()
            linger.cancel()
            stream.end()
            asyncio.get_running_loop().call_soon(self._wake)  # once this task counts as done

    def _missed(self) -> None:
        """The connection was made anew: what happened in between is not known."""
        self._firms.clear()
        if self._hears:
            self._put(GAP, b"{}")

    async def _end_unread(self, stream: EventStream) -> None:
        while True:
            await asyncio.sleep(self._linger)
            if self._readers == 0:
                stream.end()
                return

    def _put(self, name: str, data: bytes, job_id: str | None = None) -> None:
        self.newest += 1
        self._events.append(FeedEvent(self.newest, name, data, job_id))
        self._wake()

    def _wake(self) -> None:
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()


class EventFeeds:
    """The feeds of some queues, and how many read them.

    Attributes:
        most: readers at once; more are turned away.
        most_each: readers at once of one user, so that nobody takes all that there are.
        open: readers there are.
    """

    def __init__(self, *, most: int = 100, most_each: int = 10) -> None:
        self.most, self.most_each = most, most_each
        self.open = 0
        self._open_of: Counter[str] = Counter()
        self._feeds: dict[Queue, EventFeed] = {}

    def feed(self, queue: Queue) -> EventFeed:
        """The feed of one queue."""
        if queue not in self._feeds:
            self._feeds[queue] = EventFeed(queue)
        return self._feeds[queue]

    def close(self) -> None:
        """End all streams of events, so that nobody waits for their readers."""
        for feed in self._feeds.values():
            feed.end()

    @contextmanager
    def slot(self, user_id: str | None = None) -> Iterator[None]:
        """Count one reader.

        Args:
            user_id: who reads; None where that is not known.

        Raises:
            Overloaded: there are as many as may be.
            TooManyRequests: this user has as many as one may have.
        """
        if user_id is not None and self._open_of.get(user_id, 0) >= self.most_each:
            raise TooManyRequests(
                f"you have {self.most_each} streams of events open, and no more are allowed: close one first",
                retry_after=_COME_BACK,
            )
        if self.open >= self.most:
            raise Overloaded(
                f"{self.open} streams of events are open, and no more are allowed: try again later"
            )
        self.open += 1
        if user_id is not None:
            self._open_of[user_id] += 1
        try:
            yield
        finally:
            self.open -= 1
            if user_id is not None:
                self._open_of[user_id] -= 1
                if not self._open_of[user_id]:
                    del self._open_of[user_id]


def _with_value(told: dict[str, Any], value: Any) -> bytes:
    if value is None:
        return orjson.dumps(told)
    text = Json({**told, "value": value}).body
    if len(text) > _LARGEST_VALUE:
        return orjson.dumps({**told, "valueLeftOut": True})
    return bytes(text)
