"""What happens in a queue, live, as server-sent events that a reader can take up where it left off."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Header
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from toril.errors import TorilError
from toril.web.errors import HttpError
from toril.web.event_feed import GAP, EventFeed, EventFeeds, FeedEvent
from toril.web.queue_panel import Panelled, QueueName
from toril.web.queue_route import QueueRoute, described

log = logging.getLogger("toril.web")

router = APIRouter(route_class=QueueRoute)

#: Seconds between signs of life while nothing happens; proxies often give up after 30.
HEARTBEAT: Final = 15.0

#: Seconds after which a stream ends, so that the reader comes back and is let in anew.
LONGEST: Final = 900.0

#: Seconds after which a reader's right to read is looked at again, before the next event is sent.
LOOK_EVERY: Final = 5.0

_EXAMPLE: Final = 'id: 1f0c2a9e-17\nevent: completed\ndata: {"jobId":"41","value":{"success":true}}\n\n'


@router.get(
    "/{name}/events",
    response_class=StreamingResponse,
    responses=described(
        _EXAMPLE, 401, 403, 404, 429, 503, media_type="text/event-stream", text="Events, as they happen."
    ),
)
async def stream_events(
    name: QueueName,
    panel: Panelled,
    last_event_id: Annotated[str | None, Header(description="Id of the last event that was read.")] = None,
) -> Response:
    """What anybody does in the queue: `waiting`, `active`, `completed`, `failed`, `progress`, `delayed`, `stalled`,
    `drained`, `paused`, `resumed`, `duplicated`, `debounced`.

    With `Last-Event-ID` it goes on behind that event. An event `gap` says that some are missing at this point: look at
    the queue again. A stream ends after 15 minutes, or once the token is not good any more; come back with the id of
    the last event. A firm's administrator hears of the firm's jobs. A user may have ten streams open.
    """
    feed = panel.feeds.feed(panel.queue(name))
    with panel.feeds.slot(panel.user_id):  # before anything is asked of the server
        await feed.open()
    return EventResponse(
        panel.feeds, feed, last_event_id, panel.still_in, firm_id=panel.firm_id, user_id=panel.user_id
    )


class EventResponse(Response):
    """Sends events until the reader goes, the feed ends, or it is time to come back.

    Args:
        after: id of the last event the reader has.
        still_in: raises when the reader may read no more.
        firm_id: only events of this firm's jobs, and those of no job.
        user_id: who reads; None where that is not known.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        feeds: EventFeeds,
        feed: EventFeed,
        after: str | None = None,
        still_in: Callable[[], Awaitable[object]] | None = None,
        *,
        firm_id: str | None = None,
        user_id: str | None = None,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._feeds, self._feed, self._after, self._still_in = feeds, feed, after, still_in
        self._firm_id, self._user_id = firm_id, user_id
        self._look_at = time.monotonic() + LOOK_EVERY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._feeds.slot(self._user_id), self._feed.reading():
            sending = asyncio.create_task(self._send_all(send), name="toril-events")
            leaving = asyncio.create_task(_gone(receive), name="toril-events-reader")
            try:
                await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (sending, leaving):
                    task.cancel()
                done = await asyncio.gather(sending, leaving, return_exceptions=True)
            for error in done:
                if isinstance(error, Exception) and not isinstance(error, OSError):
                    raise error

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for text in self._events():
            await send({"type": "http.response.body", "body": text, "more_body": True})
        with contextlib.suppress(OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self) -> AsyncIterator[bytes]:
        feed = self._feed
        at = feed.newest
        yield b"retry: 2000\n: connected\n\n"
        if self._after:
            known = feed.number_of(self._after)
            if known is None:
                yield _written(feed.id_of(at), GAP, b"{}")
            else:
                at = known
        until = time.monotonic() + LONGEST
        while (left := until - time.monotonic()) > 0 and await self._may_go_on():
            events, complete = feed.after(at)
            if not complete:
                at = events[0].number - 1 if events else feed.newest
                yield _written(feed.id_of(at), GAP, b"{}")
            if events:
                at = events[-1].number
                shown = await self._shown(events)
                if shown:
                    yield b"".join(_written(feed.id_of(each.number), each.name, each.data) for each in shown)
                continue
            if not feed.listens:
                return
            await feed.wait(at, min(HEARTBEAT, left))
            if feed.newest == at:
                yield b": heartbeat\n\n"

    async def _shown(self, events: list[FeedEvent]) -> list[FeedEvent]:
        if self._firm_id is None:
            return events
        try:
            return await self._feed.of_firm(events, self._firm_id)
        except TorilError as error:
            log.warning("events_not_shown: %s", error)  # the server is away: whose they are is not known
            return [FeedEvent(events[-1].number, GAP, b"{}")]

    async def _may_go_on(self) -> bool:
        if self._still_in is None or time.monotonic() < self._look_at:
            return True
        try:
            await self._still_in()
        except HttpError:
            return False  # the reader comes back, and is told why
        except TorilError as error:
            log.warning(
                "reader_not_looked_at: %s", error
            )  # the database is away; the stream ends in any case
        self._look_at = time.monotonic() + LOOK_EVERY
        return True


def _written(event_id: str, name: str, data: bytes) -> bytes:
    return f"id: {event_id}\nevent: {name}\ndata: ".encode() + data + b"\n\n"


async def _gone(receive: Receive) -> None:
    """Return when the reader has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
