"""Readers who do not read: little is kept for them, and not for long."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from starlette.types import Receive, Scope, Send
from tests.support.http_server import Served, served_by, unread
from tests.support.queue_api import DATA, open_api
from tests.support.until import until
from tests.support.web_people import Office, open_office

from toril.cli.http_connection import HttpConnection
from toril.web.event_feed import AT_ONCE_BYTES, FeedEvent
from toril.web.files import LinkedFile

MIB: Final = 1024 * 1024
GET: Final = b"GET / HTTP/1.1\r\nHost: toril.example\r\n\r\n"

#: Bytes that are kept for one reader at most: a piece of the answer, and what the system has.
FOR_ONE: Final = MIB


class Hasty(HttpConnection):
    take_within = 0.5


class Patient(HttpConnection):
    take_within = 1000.0


@dataclass
class Stream:
    """Answers with pieces without an end; or with one."""

    piece: bytes = b"x" * 65_536
    pieces: int | None = None
    sent: int = 0
    running: int = 0
    ended: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(self._gone(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            self.ended.append("gone" if leaving.done() else "sent")
        finally:
            self.running -= 1
            sending.cancel()
            leaving.cancel()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        number = 0
        while self.pieces is None or number < self.pieces:
            number += 1
            more = self.pieces is None or number < self.pieces
            await send({"type": "http.response.body", "body": self.piece, "more_body": more})
            self.sent += len(self.piece)
            await asyncio.sleep(0)  # what is sent to nobody takes no time
        if self.pieces is None:
            raise AssertionError

    async def _gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


async def ends(served: Served) -> int:
    """Wait until the server has no connection; returns the most bytes that it held meanwhile."""
    most = 0

    async def is_over() -> bool:
        nonlocal most
        most = max(most, served.held)
        return not served.connections

    await until(is_over)
    return most


async def stands_still(stream: Stream) -> int:
    """Bytes that were sent when no more are taken."""
    last, rounds = -1, 0
    while rounds < 5:
        rounds = rounds + 1 if stream.sent == last else 0
        last = stream.sent
        await asyncio.sleep(0.05)
    return last


async def test_a_reader_who_does_not_read_is_let_go_with_little_kept_for_it() -> None:
    stream = Stream()
    async with served_by(stream, Hasty) as served:
        with unread(served.address, GET):

            async def begun() -> bool:
                return stream.sent > 0

            await until(begun)
            assert await ends(served) <= len(stream.piece) + 100
        assert stream.sent <= FOR_ONE, "the system keeps little too"

        async def is_told() -> bool:
            return stream.ended == ["gone"]

        await until(is_told)


async def test_an_answer_of_one_piece_does_not_keep_its_connection_either() -> None:
    stream = Stream(piece=b"x" * 8 * MIB, pieces=1)
    async with served_by(stream, Hasty) as served:
        with unread(served.address, GET):

            async def begun() -> bool:
                return bool(stream.ended)

            await until(begun)  # and its connection is to be closed once all has been taken
            await ends(served)


async def test_of_the_least_that_waits_for_a_reader_is_heard() -> None:
    """What is left of a small answer is below the usual limits of buffers, so it would keep its connection."""
    stream = Stream()
    async with served_by(stream, Patient) as served:
        with unread(served.address, GET):
            await stands_still(stream)
            [connection] = served.connections
            assert connection.transport.get_write_buffer_limits() == (0, 0)
            assert connection._reader_alarm is not None


async def test_a_slow_reader_who_goes_on_reading_is_kept() -> None:
    stream = Stream()
    async with served_by(stream, Patient) as served:
        with unread(served.address, GET) as reader:
            for _ in range(3):
                await stands_still(stream)
                [connection] = served.connections
                connection._waiting = served.held + MIB  # it has taken a part of a large piece meanwhile
                connection.look_at_reader()
                await asyncio.sleep(0)
                assert served.connections, "it has read"
                taken = 0
                while taken < 400_000:
                    try:
                        taken += len(reader.recv(65_536))
                    except BlockingIOError:
                        await asyncio.sleep(0.001)
            await stands_still(stream)
            [connection] = served.connections
            connection.look_at_reader()  # and nothing was read since
            await ends(served)


async def test_who_asks_for_two_answers_at_once_and_goes_leaves_nothing_behind() -> None:
    stream = Stream(piece=b"x")
    stream.piece = b""  # a stream of events in which nothing happens
    async with served_by(stream, Patient) as served:
        with unread(served.address, GET + GET):

            async def begun() -> bool:
                return stream.running == 1

            await until(begun)
        for connection in served.connections:
            connection.transport.abort()

        async def is_over() -> bool:
            return stream.running == 0 and not served.connections

        await until(is_over)


@pytest_asyncio.fixture
async def office(start_server: Any, firm_home: Path, tmp_path: Path, prefix: str) -> AsyncIterator[Office]:
    shutil.copytree(firm_home, tmp_path / "home")
    server_url = start_server("valkey").url
    async with open_api(server_url, prefix, tmp_path / "home") as api, open_office(api) as opened:
        yield opened


def asked(path: str, office: Office) -> bytes:
    token = office.root.headers["authorization"]
    return f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n\r\n".encode()


async def download(office: Office) -> str:
    folder = office.api.web.settings.files_path / office.firm_id / "exports"  # type: ignore[operator]
    folder.mkdir(parents=True)
    with (folder / "large.csv").open("wb") as file:
        file.truncate(64 * MIB)
    return office.api.web.links.make(LinkedFile(path=str(folder / "large.csv"), name="large.csv"))[0]


async def export(office: Office) -> str:
    large = {"type": "temp-files", "data": {"maxAgeHours": 24, "note": "x" * 300_000}}
    await office.api.service.queue("cleanup").add_bulk([("__default__", large)] * 80)
    return "/api/queues/cleanup/jobs/export?status=waiting&format=json"


async def events(office: Office) -> str:
    feed = office.api.web.feeds.feed(office.api.service.queue("cleanup"))
    await feed.open()
    feed.newest += 1
    before = feed.id_of(feed.newest)
    for _ in range(1000):
        feed.newest += 1
        feed._events.append(FeedEvent(feed.newest, "completed", b'"' + b"x" * 16_000 + b'"'))
    return f"/api/queues/cleanup/events\0{before}"


@pytest.mark.parametrize("large", [download, export, events], ids=lambda each: each.__name__)
async def test_of_what_is_large_little_is_held_for_ten_who_do_not_read(office: Office, large: Any) -> None:
    path, _, after = (await large(office)).partition("\0")
    head = asked(path, office)
    if after:
        head = head[:-2] + f"Last-Event-ID: {after}\r\n\r\n".encode()
    async with served_by(office.api.app, Hasty) as served:
        readers = [unread(served.address, head) for _ in range(10)]
        for each in readers:
            each.__enter__()
        try:

            async def begun() -> bool:
                return served.held > 0

            await until(begun)
            assert await ends(served) <= 10 * FOR_ONE
        finally:
            for each in readers:
                each.__exit__(None, None, None)
    assert office.api.web.feeds.open == 0


async def test_a_reader_of_events_is_given_little_at_a_time_and_all_of_it(office: Office) -> None:
    await events(office)
    feed = office.api.web.feeds.feed(office.api.service.queue("cleanup"))
    at, numbers = feed.newest - 1000, []
    while at < feed.newest:
        some, complete = feed.after(at)
        assert complete
        assert sum(len(each.data) for each in some) <= AT_ONCE_BYTES
        numbers += [each.number for each in some]
        at = some[-1].number
    assert numbers == list(range(feed.newest - 999, feed.newest + 1))
    feed._events.append(FeedEvent(feed.newest + 1, "completed", b"x" * 2 * AT_ONCE_BYTES))
    assert len(feed.after(feed.newest)[0]) == 1, "one that is larger comes alone"


async def test_a_page_of_an_export_is_small_however_large_jobs_are(office: Office) -> None:
    from toril.web.routes.jobs_export import read_pages

    queue = office.api.service.queue("cleanup")
    large = {"type": "temp-files", "data": {"note": "x" * 700_000}}
    jobs = await queue.add_bulk([("a", large)] * 5 + [("b", DATA)] * 450)
    ids = [job.id for job in jobs]
    pages = [page async for page in read_pages(queue, "waiting", ["gone", *ids, "gone too"])]
    assert [job["jobId"] for page in pages for job in page] == ids
    assert max(sum(len(str(job["data"])) for job in page) for page in pages) < 2 * MIB
    assert max(map(len, pages)) == 200, "small ones come many at once"
