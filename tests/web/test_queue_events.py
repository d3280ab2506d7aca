"""Live events of a queue over HTTP: what comes, going on after a break, gaps, and how streams end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from tests.support.queue_api import Api, module_api, served
from tests.support.until import until

from toril.db.repositories.access import Sessions
from toril.db.types import utc_now
from toril.web.auth import access
from toril.web.event_feed import EventFeed, EventFeeds
from toril.web.routes import queues_events
from toril.web.routes.queues_events import EventResponse

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api

EVENTS = "/api/queues/cleanup/events"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(queue_api: Api) -> AsyncIterator[str]:
    """The application on a port, as streams have no end that a client in the process could wait for."""
    async with served(queue_api.app) as found:
        yield found


@dataclass
class Message:
    """One block of a stream."""

    id: str = ""
    event: str = ""
    data: Any = None
    comments: list[str] = field(default_factory=list)


class Reader:
    """Reads a stream of events."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> Message:
        """The next block, comments included."""
        message = Message()
        async with asyncio.timeout(60):
            async for line in self._lines:
                if not line:
                    return message
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "":
                    message.comments.append(value)
                elif name == "data":
                    message.data = orjson.loads(value)
                elif name in ("id", "event"):
                    setattr(message, name, value)
        raise EOFError

    async def event(self, name: str) -> Message:
        """The next event of this name."""
        while (message := await self.next()).event != name:
            pass
        return message


@asynccontextmanager
async def reading(
    api: Api, address: str, after: str | None = None, *, token: str | None = None
) -> AsyncIterator[Reader]:
    headers = {"Authorization": f"Bearer {token}" if token else api.client.headers["Authorization"]}
    if after is not None:
        headers["Last-Event-ID"] = after
    async with (
        httpx.AsyncClient(headers=headers, timeout=20) as client,
        client.stream("GET", address + EVENTS) as response,
    ):
        assert response.status_code == 200, await response.aread()
        reader = Reader(response)
        assert (await reader.next()).comments == ["connected"]
        yield reader


def feed_of(api: Api) -> EventFeed:
    return api.web.feeds.feed(api.service.queue("cleanup"))


async def nobody_reads(api: Api) -> bool:
    return api.web.feeds.open == 0


async def test_events_come_with_ids_and_values(queue_api: Api, address: str) -> None:
    async with reading(queue_api, address) as reader:
        (job_id,) = await queue_api.add()
        waiting = await reader.event("waiting")
        assert waiting.data == {"jobId": job_id}
        assert waiting.id
        job = await queue_api.service.queue("cleanup").get_job(job_id)
        assert job is not None
        await job.update_progress({"pages": 3})
        progress = await reader.event("progress")
        assert progress.data == {"jobId": job_id, "value": {"pages": 3}}
        assert progress.id != waiting.id
        await job.update_progress("x" * 20_000)
        assert (await reader.event("progress")).data == {"jobId": job_id, "valueLeftOut": True}
        await queue_api.service.pause_queue("cleanup")
        assert (await reader.event("paused")).data == {}
        await queue_api.service.resume_queue("cleanup")
        await reader.event("resumed")


async def test_a_reader_that_comes_back_goes_on_where_it_was(queue_api: Api, address: str) -> None:
    async with reading(queue_api, address) as reader:
        await queue_api.add()
        last = await reader.event("waiting")
    missed = await queue_api.add(3)
    await until(lambda: _has_newest(queue_api, missed[-1]))
    async with reading(queue_api, address, after=last.id) as reader:
        messages = [await reader.next() for _ in range(3)]
        assert [message.event for message in messages] == ["waiting"] * 3
        assert [message.data["jobId"] for message in messages] == missed


async def test_a_reader_that_comes_too_late_is_told_of_the_gap(queue_api: Api, address: str) -> None:
    async with reading(queue_api, address) as reader:
        await queue_api.add()
        last = await reader.event("waiting")
    ids = await queue_api.add(1100)
    await until(lambda: _has_newest(queue_api, ids[-1]), within_s=60)
    async with reading(queue_api, address, after=last.id) as reader:
        assert (await reader.next()).event == "gap"
        first = await reader.next()
        assert first.event == "waiting"
        assert first.data["jobId"] == ids[100]


@pytest.mark.parametrize("known", ["otherone-5", "nonsense", "{epoch}-99999999", "{epoch}-x", "{epoch}-"])
async def test_an_id_of_another_process_is_a_gap(queue_api: Api, address: str, known: str) -> None:
    async with reading(queue_api, address) as reader:
        pass
    async with reading(queue_api, address, after=known.format(epoch=feed_of(queue_api).epoch)) as reader:
        gap = await reader.next()
        assert gap.event == "gap"
        ids = await queue_api.add()
        assert (await reader.event("waiting")).data["jobId"] == ids[0]


async def test_a_stream_ends_when_its_reader_goes(queue_api: Api, address: str) -> None:
    await until(lambda: nobody_reads(queue_api))
    async with reading(queue_api, address):
        assert queue_api.web.feeds.open == 1
    await until(lambda: nobody_reads(queue_api))


async def read_on(api: Api, reader: Reader) -> None:
    """Read another two events: a look that was under way when the right was lost may let one of them pass."""
    for _ in range(2):
        await api.add()
        await reader.event("waiting")


async def test_whoever_may_not_come_in_any_more_reads_no_more(
    queue_api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues_events, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(access, "TRUSTED_FOR", 0.0)
    token = await queue_api.token()
    session_id = queue_api.web.access.tokens.check(token).session_id
    async with reading(queue_api, address, token=token) as reader:
        await queue_api.add()
        await reader.event("waiting")
        async with queue_api.web.installation.database.session() as session:
            await Sessions(session).revoke(session_id, now=utc_now())
        with pytest.raises(EOFError):
            await read_on(queue_api, reader)


async def test_there_is_a_limit_to_open_streams(queue_api: Api, address: str) -> None:
    feeds = queue_api.web.feeds
    await until(lambda: nobody_reads(queue_api))
    feeds.most, before = 2, feeds.most
    try:
        async with reading(queue_api, address), reading(queue_api, address):
            headers = {"Authorization": queue_api.client.headers["Authorization"]}
            async with httpx.AsyncClient(headers=headers) as client:
                response = await client.get(address + EVENTS)
            assert response.status_code == 503
            assert response.headers["retry-after"]
            assert response.json()["error"]["code"] == "overloaded"
    finally:
        feeds.most = before


async def test_signs_of_life_come_while_nothing_happens(
    queue_api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues_events, "HEARTBEAT", 0.05)
    async with reading(queue_api, address) as reader:
        for _ in range(3):
            assert (await reader.next()).comments == ["heartbeat"]


async def test_a_stream_ends_after_a_while_so_that_its_reader_signs_in_anew(
    queue_api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues_events, "LONGEST", 0.2)
    async with reading(queue_api, address) as reader:
        with pytest.raises(EOFError):
            await reader.event("no event of this name")


async def test_a_feed_that_nobody_reads_stops_listening(queue_api: Api) -> None:
    feed = EventFeed(queue_api.service.queue("cleanup"), linger=0.05)
    await feed.open()
    before = feed.newest
    with feed.reading():
        await queue_api.add()
        await feed.wait(before, 5)
        assert [event.name for event in feed.after(before)[0]] == ["waiting"]
        seen = feed.newest
    await until(lambda: _is_over(feed))
    await queue_api.add()
    await feed.open()  # what was added meanwhile is lost, and that is told
    assert feed.after(seen) == ([], False)


async def test_a_lost_connection_leaves_a_gap(queue_api: Api) -> None:
    queue = queue_api.service.queue("cleanup")
    feed = EventFeed(queue)
    await feed.open()
    at = feed.newest
    await queue.scripts.ask("CLIENT", "KILL", "TYPE", "pubsub")

    async def has_gap() -> bool:
        events, complete = feed.after(at)
        assert complete
        return any(event.name == "gap" for event in events)

    await until(has_gap, within_s=60)
    (job_id,) = await queue_api.add()
    await until(lambda: _tells_of(feed, at, job_id))


async def test_streams_end_when_the_queue_is_closed(queue_api: Api) -> None:
    from toril.engine.queue import Queue

    queue = Queue("other", url=str(queue_api.web.settings.redis_url), prefix="closing")
    feeds = EventFeeds()
    feed = feeds.feed(queue)
    await feed.open()
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return await asyncio.get_running_loop().create_future()

    running = asyncio.create_task(EventResponse(feeds, feed)({"type": "http"}, receive, send))
    await until(lambda: _has_sent(sent, 2))
    await queue.close()
    async with asyncio.timeout(60):
        await running
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert feeds.open == 0


async def _has_newest(api: Api, job_id: str) -> bool:
    events, _ = feed_of(api).after(feed_of(api).newest - 1)
    return bool(events) and orjson.loads(events[-1].data).get("jobId") == job_id


async def _is_over(feed: EventFeed) -> bool:
    return not feed.listens


async def _has_sent(sent: list[Any], count: int) -> bool:
    return len(sent) >= count


async def _tells_of(feed: EventFeed, at: int, job_id: str) -> bool:
    return any(orjson.loads(event.data).get("jobId") == job_id for event in feed.after(at)[0])
