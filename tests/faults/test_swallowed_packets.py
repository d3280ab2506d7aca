"""Connections that lead nowhere although nobody hung up, and servers that are only slow."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import QueueUnavailableError

#: Seconds for what takes three, or eight: far less than the minute that connections once had for an answer.
SOON = 30.0


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of this test alone."""
    with RedisServer(tcp=True) as started:
        yield started


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    """The network before it."""
    with Proxy(server.port) as between:
        yield between


#: Seconds in which a dead connection is noticed here, where the default is not the point.
NOTICE = 1.0


def open_queue(url: str) -> Queue:
    """A queue that notices soon."""
    queue = Queue("q", url=url, patience=60)
    queue.connection.notice_within = NOTICE
    return queue


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocking calls that last half a second."""
    monkeypatch.setattr("toril.engine.idle.DRAIN_DELAY", 0.5)


async def work(job: Job[Any]) -> Any:
    return job.data


async def test_an_add_with_little_patience_goes_by_a_new_connection(proxy: Proxy) -> None:
    async with Queue("q", url=proxy.url, patience=3) as queue:
        await queue.add("n", 1)
        proxy.swallow()
        assert (await queue.add("n", 2)).id == "2"
        proxy.hang_up_upstream()
        assert (await queue.add("n", 3)).id == "3"
        assert await queue.count() == 3


async def test_an_add_whose_answer_was_lost_is_done_once(proxy: Proxy) -> None:
    async with open_queue(proxy.url) as queue:
        await queue.add("n", 1)
        proxy.lose_answers()
        jobs = await asyncio.gather(*(queue.add("n", number) for number in range(20)))
        assert [job.id for job in jobs] == [str(number) for number in range(2, 22)]
        assert await queue.count() == 21


async def test_an_add_that_arrives_late_on_the_former_connection_is_not_done_again(proxy: Proxy) -> None:
    async with open_queue(proxy.url) as queue:
        await queue.add("n", 1)
        proxy.hold()
        assert (await queue.add("n", 2)).id == "2"
        assert (await queue.add("n", 3)).id == "3"
        proxy.release()
        await until(lambda: _settled(proxy), within_s=SOON)
        assert await queue.count() == 3


async def _settled(proxy: Proxy) -> bool:
    return proxy.open_connections == 1


async def test_an_answer_that_is_cut_short_comes_again(proxy: Proxy) -> None:
    async with Queue("q", url=proxy.url) as queue:
        await queue.add("n", "x" * 1000)
        for count in (1, 10, 500):
            proxy.cut_after(count)
            asking = asyncio.create_task(queue.get_waiting())
            await until(lambda: _spent(proxy), within_s=SOON)
            proxy.heal()
            assert [job.data for job in await asking] == ["x" * 1000]


async def _spent(proxy: Proxy) -> bool:
    return proxy._cut_after == 0


async def test_an_add_that_nobody_answers_ends_with_its_patience(proxy: Proxy) -> None:
    async with Queue("q", url=proxy.url, patience=0.5) as queue:
        await queue.add("n", 1)
        proxy.swallow(new=True)
        async with asyncio.timeout(SOON):
            with pytest.raises(QueueUnavailableError):
                await queue.add("n", 2)
        proxy.heal()

        async def added() -> bool:
            try:
                return bool(await queue.add("n", 3))
            except QueueUnavailableError:
                return False

        await until(added, within_s=SOON)


@pytest.mark.parametrize("fault", ["swallow", "lose_answers", "hang_up_upstream"])
async def test_an_idle_worker_goes_on_by_new_connections(
    server: RedisServer, proxy: Proxy, short_wait: None, fault: str
) -> None:
    async with open_queue(proxy.url) as queue, Worker(queue, work, stalled_interval=0):
        assert await (await queue.add("n", 1)).result(SOON) == 1
        getattr(proxy, fault)()
        async with Queue("q", url=server.url) as outside:
            job = await outside.add("n", 2)
            assert await job.result(SOON) == 2


async def test_a_busy_worker_runs_each_job_once_by_new_connections(proxy: Proxy, short_wait: None) -> None:
    ran: Counter[str] = Counter()

    async def count(job: Job[Any]) -> None:
        ran[job.id] += 1
        await asyncio.sleep(0.01)

    async with (
        open_queue(proxy.url) as queue,
        Worker(queue, count, concurrency=10, stalled_interval=0),
    ):
        jobs = await queue.add_bulk([("n", number) for number in range(600)])
        for fault in ("swallow", "lose_answers"):
            before = len(ran)
            await until(lambda at=before: _reached(ran, at + 100), within_s=SOON)  # type: ignore[misc]
            getattr(proxy, fault)()
        await until(lambda: _reached(ran, 600), within_s=SOON)

        async def recorded() -> bool:
            return (await queue.counts("completed"))["completed"] == 600

        await until(recorded, within_s=SOON)
    assert ran == {job.id: 1 for job in jobs}


async def _reached(ran: Counter[str], count: int) -> bool:
    return len(ran) >= count


async def test_listeners_hear_again_by_a_new_connection(server: RedisServer, proxy: Proxy) -> None:
    heard: list[Any] = []
    async with Queue("q", url=proxy.url) as queue, Queue("q", url=server.url) as outside:
        queue.on("global:waiting", heard.append)
        await queue.subscriber.ready()
        proxy.swallow()

        async def hears() -> bool:
            await outside.add("n", 1)
            await asyncio.sleep(0.05)
            return bool(heard)

        await until(hears, within_s=SOON)


async def test_a_server_that_is_only_slow_keeps_its_connections(
    server: RedisServer, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = 5
    script = (
        "local t = redis.call('TIME'); local e = t[1] * 1e6 + t[2] + ARGV[1] * 1e6 "
        "repeat t = redis.call('TIME') until t[1] * 1e6 + t[2] > e"
    )

    def block() -> None:
        with redis.Redis(port=server.port, socket_timeout=60) as client:
            client.eval(script, 0, seconds)

    ran: Counter[str] = Counter()

    async def count(job: Job[Any]) -> None:
        ran[job.id] += 1

    async with (
        Queue("q", url=proxy.url, patience=60) as queue,
        Worker(queue, count, concurrency=5, stalled_interval=0),
    ):
        queue.on("global:completed", lambda *_: None)
        await queue.subscriber.ready()
        former = set(await _ids(server))
        blocking = threading.Thread(target=block)
        blocking.start()
        jobs = await asyncio.gather(*(queue.add("n", number) for number in range(50)))
        await until(lambda: _reached(ran, 50), within_s=SOON)
        await asyncio.to_thread(blocking.join)
        assert former <= set(await _ids(server)), "all connections are those of before"
        assert ran == {job.id: 1 for job in jobs}
    assert not [row for row in caplog.records if row.message.startswith("connection_silent")]
    assert proxy.accepted < 30


async def test_a_network_that_is_only_slow_keeps_its_connections(server: RedisServer, proxy: Proxy) -> None:
    """Each answer is late, and comes before that of the new connection by which is asked."""
    async with open_queue(proxy.url) as queue:
        await queue.count()
        (former,) = await _ids(server)
        proxy.delay(0.5)
        for _ in range(4):
            await queue.count()
        assert former in await _ids(server)
        assert str(queue.connection.client_id) == former


async def test_the_server_does_nothing_more_for_a_connection_that_was_replaced(
    server: RedisServer, proxy: Proxy
) -> None:
    """What was sent there, and is on its way still, would be carried out after it was sent again."""
    async with open_queue(proxy.url) as queue:
        await queue.count()
        (former,) = await _ids(server)
        proxy.swallow()
        await queue.count()
        assert former not in await _ids(server)


async def test_the_system_looks_after_connections_on_which_nobody_waits(proxy: Proxy) -> None:
    async with Queue("q", url=proxy.url) as queue:
        await queue.count()
        link = queue.connection.live
        assert link is not None
        assert link._transport is not None
        open_socket = link._transport.get_extra_info("socket")
        assert open_socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # milliseconds in which what was sent has to be confirmed
            assert open_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


async def test_a_worker_has_dead_connections_noticed_in_a_quarter_of_its_locks(proxy: Proxy) -> None:
    async with Queue("q", url=proxy.url) as queue:
        at_first = queue.connection.notice_within
        for lock, wanted in ((30, at_first), (2, 0.5), (8, 0.5)):
            worker = Worker(queue, work, lock_duration=lock)
            assert queue.connection.notice_within == wanted
            await worker.close()


async def _ids(server: RedisServer) -> list[str]:
    def read() -> list[str]:
        with server.client() as client:
            return [row["id"] for row in client.client_list() if row["cmd"] not in ("client|list", "client")]

    return await asyncio.to_thread(read)
