"""How jobs are getting on, told to whoever asked for them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from toril.engine.queue import Queue
from toril.errors import QueueUnavailableError, TorilError
from toril.web.answers import Json
from toril.web.sockets.known_owners import JobKey, KnownOwners

log = logging.getLogger("toril.web.sockets")

#: Seconds between two events about one job; of what happens in between, the newest is told.
PAUSE: Final = 0.1

#: Seconds after which an unknown job is looked up again: its owner is noted a moment after it was added.
_AGAIN_AFTER: Final = (1.0, 4.0)

#: Jobs that wait to be told of, or to be known.
_MOST: Final = 10_000

#: Bytes of a result or a progress in an event; larger ones are left out.
_LARGEST: Final = 16 * 1024

_STATES: Final = ("active", "completed", "failed")
_VALUES: Final = {"progress": "progress", "completed": "returnValue", "failed": "failedReason"}

News = dict[str, Any]


class JobNews:
    """Listens to the queues while anybody is connected, with one subscription for each queue.

    Args:
        queues: by name.
        tell: sends news of a job to its owner, if they are connected here.
        missed: tells all that news of a queue may have been lost.
    """

    def __init__(
        self,
        queues: Mapping[str, Queue],
        owners: KnownOwners,
        tell: Callable[[str, News], Awaitable[None]],
        missed: Callable[[str], Awaitable[None]],
    ) -> None:
        self._queues, self._owners, self._tell, self._told_missed = queues, owners, tell, missed
        self._fresh: dict[JobKey, News] = {}
        self._unknown: dict[JobKey, tuple[News, int, float]] = {}  # news, tries, when to look again
        self._heard: set[str] = set()  # queues whose news have been heard before
        self._missed: set[str] = set()
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._take_back: list[Callable[[], Any]] = []

    async def listen(self, within: float) -> None:
        """Hear from now on; a server that is away is waited for ``within`` seconds, and then in the background."""
        if self._running is None:
            self._running = asyncio.create_task(self._tell_all(), name="toril-job-news")
            for name, queue in self._queues.items():
                self._listen_to(name, queue)
        await asyncio.gather(*(_ready(queue, within) for queue in self._queues.values()))

    async def rest(self) -> None:
        """Hear no more, until ``listen`` is called again."""
        running, self._running = self._running, None
        for take_back in self._take_back:
            take_back()
        self._take_back.clear()
        if running is not None:
            running.cancel()
            await asyncio.wait([running])
        self._fresh.clear()
        self._unknown.clear()
        self._heard.clear()

    def _listen_to(self, name: str, queue: Queue) -> None:
        for event in (*_STATES, "progress"):
            listener = partial(self._hear, name, event)
            queue.subscriber.on(event, listener)
            self._take_back.append(partial(queue.subscriber.off, event, listener))
        self._take_back.append(queue.subscriber.on_reconnect(partial(self._note_missed, name)))

    def _note_missed(self, name: str) -> None:
        if name in self._heard:
            self._missed.add(name)
            self._wake.set()
        self._heard.add(name)

    def _hear(self, queue: str, event: str, job_id: str, value: Any = None) -> None:
        job = (queue, job_id)
        if self._owners.is_nobodys(job):
            return
        if job in self._unknown:
            add_event(self._unknown[job][0], event, value)
            return
        if job not in self._fresh and len(self._fresh) + len(self._unknown) >= _MOST:
            return  # most are nobody's; those of somebody are looked at when they have ended
        news = self._fresh.setdefault(job, {"queueName": queue, "jobId": job_id, "state": "active"})
        add_event(news, event, value)
        self._wake.set()

    async def _tell_all(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._next_look()):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._tell_due()
            except Exception:
                log.exception("job_news_failed")
            await asyncio.sleep(PAUSE)

    def _next_look(self) -> float | None:
        due = min((due for _, _, due in self._unknown.values()), default=None)
        return None if due is None else max(0.0, due - time.monotonic())

    async def _tell_due(self) -> None:
        missed, self._missed = self._missed, set()
        for name in missed:
            await self._told_missed(name)
        now = time.monotonic()
        due = {job: (news, 0) for job, news in self._fresh.items()}
        self._fresh.clear()
        for job in [job for job, (_, _, when) in self._unknown.items() if when <= now]:
            news, tries, _ = self._unknown.pop(job)
            due[job] = (news, tries)
        try:
            users = await self._owners.find(due) if due else {}
        except TorilError as error:
            log.warning("job_owners_unknown: %s", error, extra={"jobs": len(due), "code": error.code})
            users = {}
        for job, (news, tries) in due.items():
            if (user_id := users.get(job)) is not None:
                await self._tell(user_id, news)
            elif tries < len(_AGAIN_AFTER):
                self._put_back(job, news, tries + 1, now + _AGAIN_AFTER[tries])
            else:
                self._owners.note_nobodys(job)

    def _put_back(self, job: JobKey, news: News, tries: int, when: float) -> None:
        newer = self._fresh.pop(job, None)  # came while we asked
        self._unknown[job] = ({**news, **(newer or {})}, tries, when)


async def _ready(queue: Queue, within: float) -> None:
    with contextlib.suppress(QueueUnavailableError):
        await queue.subscriber.ready(within)


def add_event(news: News, event: str, value: Any) -> None:
    """Bring what is known of a job up to date with one event of its queue."""
    if event == "active":
        for name in ("progress", "returnValue", "failedReason", "valueLeftOut"):
            news.pop(name, None)
    if event in _STATES:
        news["state"] = event
    told_as = _VALUES.get(event)
    if told_as is None or value is None:
        return
    if len(Json(value).body) > _LARGEST:
        news.pop(told_as, None)
        news["valueLeftOut"] = True
    else:
        news[told_as] = value
