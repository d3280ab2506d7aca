"""One queue and several event loops: it works for one after the other, and says so where it cannot work."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import QueueStateError, QueueUnavailableError

WITHIN = 60.0

#: A loop that ends without closing its queue leaves sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def collect_sockets() -> Iterator[None]:
    """Collect them here, where the warning about them is not wanted."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def work(job: Job[Any]) -> Any:
    return job.data


async def in_another_loop(call: Callable[[], Any]) -> Any:
    """What ``call`` returns, or its awaitable, in an event loop in another thread while this one goes on."""

    async def inner() -> Any:
        outcome = call()
        return await asyncio.wait_for(outcome, WITHIN) if isinstance(outcome, Awaitable) else outcome

    return await asyncio.to_thread(lambda: asyncio.run(inner()))


async def test_adds_from_loops_in_several_threads_are_refused_and_never_hang(
    server_url: str, prefix: str
) -> None:
    queue = Queue("q", url=server_url, prefix=prefix)
    together = threading.Barrier(3)
    outcomes: list[list[Any]] = []

    async def add_some() -> list[Any]:
        together.wait(WITHIN)
        async with asyncio.timeout(WITHIN):
            found = await asyncio.gather(*(queue.add("n", n) for n in range(100)), return_exceptions=True)
        # None of the loops ends before all have tried.
        await asyncio.to_thread(together.wait, WITHIN)
        return found

    def run() -> None:
        outcomes.append(asyncio.run(add_some()))

    threads = [threading.Thread(target=run, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join, WITHIN * 2)
    assert len(outcomes) == 3
    added = [sum(isinstance(one, Job) for one in found) for found in outcomes]
    assert sorted(added) == [0, 0, 100]
    refused = [one for found in outcomes for one in found if not isinstance(one, Job)]
    assert all(isinstance(error, QueueStateError) and "toril.sync.Queue" in str(error) for error in refused)
    async with Queue("q", url=server_url, prefix=prefix) as fresh:
        assert await fresh.count() == 100


async def _run_a_worker(queue: Queue) -> None:
    async with Worker(queue, work):
        pass


@pytest.mark.parametrize(
    "call",
    [
        lambda queue, job: queue.add("n", 1),
        lambda queue, job: queue.count(),
        lambda queue, job: job.result(60),
        lambda queue, job: queue.events(),
        lambda queue, job: queue.on("global:waiting", print),
        lambda queue, job: queue.subscriber.ready(),
        lambda queue, job: queue.close(),
        lambda queue, job: _run_a_worker(queue),
    ],
    ids=["add", "count", "result", "events", "on", "subscriber", "close", "worker"],
)
async def test_another_loop_is_refused_with_the_way_out(queue: Queue, call: Callable[..., Any]) -> None:
    job = await queue.add("n", 1)
    queue.on("global:completed", lambda *_: None)
    await queue.subscriber.ready()
    with pytest.raises(QueueStateError, match=r"another event loop.*toril\.sync\.Queue"):
        await in_another_loop(lambda: call(queue, job))
    assert await queue.count() == 1, "its own loop goes on with it"


async def test_a_stream_of_events_is_read_where_it_was_begun(queue: Queue) -> None:
    stream = queue.events()
    await queue.subscriber.ready()
    await queue.add("n", 1)
    assert (await anext(stream)).name == "waiting"
    with pytest.raises(QueueStateError, match="another event loop"):
        await in_another_loop(lambda: anext(stream))


@pytest.mark.parametrize("verb", ["close", "pause", "resume", "hurry", "start"])
async def test_a_worker_is_closed_and_paused_where_it_runs(queue: Queue, verb: str) -> None:
    async with Worker(queue, work) as worker:
        with pytest.raises(QueueStateError, match="another event loop"):
            await in_another_loop(getattr(worker, verb))
        assert await (await queue.add("n", 1)).result(WITHIN) == 1


def twice(call: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
    """What two event loops return, one after the other."""
    return [asyncio.run(asyncio.wait_for(call(), WITHIN * 2)) for _ in range(2)]


def test_a_queue_of_a_module_serves_one_loop_after_the_other(server_url: str, prefix: str) -> None:
    queue = Queue("q", url=server_url, prefix=prefix)
    heard: list[Any] = []
    queue.on("global:completed", lambda *what: heard.append(what))

    async def use() -> Any:
        stream = queue.events()
        async with Worker(queue, work):
            await asyncio.gather(*(queue.add("n", number) for number in range(50)))
            result = await (await queue.add("n", "mine")).result(WITHIN)
        assert (await anext(stream)).name == "waiting"
        return result

    assert twice(use) == ["mine", "mine"]
    assert heard


def test_adds_that_a_loop_left_behind_do_not_hold_up_the_next(server_url: str, prefix: str) -> None:
    queue = Queue("q", url=server_url, prefix=prefix)

    async def leave() -> None:
        left = [asyncio.ensure_future(queue.add("n", number)) for number in range(20)]
        await asyncio.sleep(0)
        assert not left[0].done()

    twice(leave)

    async def add() -> str:
        return (await queue.add("last", 1)).name

    assert twice(add) == ["last", "last"]


def test_a_closed_worker_is_not_started_again(server_url: str, prefix: str) -> None:
    worker = Worker(Queue("q", url=server_url, prefix=prefix), work)

    async def use() -> None:
        async with worker:
            pass

    asyncio.run(use())
    with pytest.raises(QueueStateError, match="was closed; make a new one"):
        asyncio.run(use())


def test_a_worker_whose_loop_has_ended_is_not_taken_for_running(server_url: str, prefix: str) -> None:
    worker = Worker(Queue("q", url=server_url, prefix=prefix), work)
    asyncio.run(worker.start())
    with pytest.raises(QueueStateError, match="an event loop that has ended"):
        asyncio.run(worker.start())


def test_a_closed_queue_says_so_in_the_next_loop(server_url: str, prefix: str) -> None:
    queue = Queue("q", url=server_url, prefix=prefix)

    async def use() -> None:
        async with queue:
            await queue.add("n", 1)

    asyncio.run(use())
    with pytest.raises(QueueUnavailableError, match="is closed"):
        asyncio.run(use())
