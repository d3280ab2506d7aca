"""Calls whose answer gets lost: each is carried out once, and answered as if nothing had been."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.steps import complete, fail, fence_of, take

from toril.engine.dead_letters import DeadLetters
from toril.engine.locks import LockRenewer
from toril.engine.options import Debounce
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.engine.requests import Requests
from toril.engine.scripts.loader import load
from toril.engine.scripts.runner import ONCE

#: Seconds in which a dead connection is noticed.
NOTICE = 0.6

WITHIN = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as started:
        yield started


@pytest.fixture(scope="module")
def proxy(server: RedisServer) -> Iterator[Proxy]:
    """The network before it."""
    with Proxy(server.port) as between:
        yield between


def open_queue(url: str, name: str) -> Queue:
    queue = Queue(name, url=url, patience=60, dead_letter=f"dead-{name}")
    queue.connection.notice_within = NOTICE
    return queue


async def jobs(queue: Queue) -> None:
    """The jobs 1 to 9: two failed, two completed, one that runs, two that wait, two delayed."""
    for number in range(7):
        await queue.add("n", number)
    for job_id in await take(queue, 5):
        if job_id != "5":
            await (fail if job_id < "3" else complete)(queue, job_id)
    for number in range(2):
        await queue.add("n", number, delay=3600)


async def lost_one(queue: Queue) -> None:
    """A job that a blocking call moved to active, and whose worker never heard of it."""
    await jobs(queue)
    await queue.scripts.ask("RPOPLPUSH", queue.keys.of("wait"), queue.keys.of("active"))


async def scheduled(queue: Queue) -> None:
    await queue.add("n", {}, repeat=Repeat(every=3600), job_id="s")


async def debounced(queue: Queue) -> None:
    await queue.add("n", {}, debounce=Debounce("d"))


async def lettered(queue: Queue) -> None:
    """A job that has failed for good, and its letter."""
    await queue.add("n", {})
    [job_id] = await take(queue)
    assert queue.letter_box is not None
    failed = ("fail", job_id, await fence_of(queue, job_id), "no luck", "[]", 1, -1, -1, "")
    keys = queue.letter_box.keys_to_add
    await queue.scripts.run("advance", 60_000, 0, "", 0, 0, 0, *failed, queue.name, more_keys=keys)


async def remove_jobs(queue: Queue) -> Any:
    return sorted(await queue.remove_jobs("[1-7]"))


async def add_schedule(queue: Queue) -> Any:
    return (await queue.add("n", {}, repeat=Repeat(every=3600), job_id="s")).name


async def remove_schedule(queue: Queue) -> Any:
    [schedule] = await queue.schedules()
    return await queue.remove_schedule(schedule.key)


async def retry_letter(queue: Queue) -> Any:
    async with DeadLetters(f"dead-{queue.name}", url=queue_url(queue)) as letters:
        letters.queue.connection.notice_within = NOTICE
        [letter], _ = await letters.list()
        return await letters.retry(letter.id)


def queue_url(queue: Queue) -> str:
    return str(queue.connection.server)


async def take_turn(queue: Queue) -> Any:
    for _ in range(2):
        turn = queue.actions.turn("5", "carrier", per_second=0.01, longest=1000)
        last = await turn._ask("come")
    return round(last, -5), turn._place


@dataclass(frozen=True, slots=True)
class Call:
    """What is there before, and what is done."""

    act: Callable[[Queue], Awaitable[Any]]
    fill: Callable[[Queue], Awaitable[None]] = jobs


CALLS = {
    "add_log": Call(lambda queue: queue.actions.add_log("5", "row")),
    "arm_schedule": Call(add_schedule),
    "cancel_job": Call(lambda queue: queue.actions.cancel("6")),
    "clean_list": Call(lambda queue: queue.clean(0, "waiting")),
    "clean_set": Call(lambda queue: queue.clean(0, "completed")),
    "end_debounce": Call(lambda queue: queue.remove_debounce_key("d"), debounced),
    "obliterate": Call(lambda queue: queue.obliterate(force=True)),
    "pause": Call(lambda queue: queue.pause()),
    "postpone": Call(lambda queue: queue.scripts.run("postpone", "5", "1", 3_600_000, 0)),
    "promote_jobs": Call(lambda queue: queue.promote_jobs(count=1)),
    "promote_jobs of one": Call(lambda queue: queue.actions.promote("8")),
    "put_back_lost": Call(lambda queue: queue.scripts.run("put_back_lost", "", "6"), lost_one),
    "remove_jobs": Call(remove_jobs),
    "remove_schedule": Call(remove_schedule, scheduled),
    "retry_job": Call(lambda queue: queue.actions.retry("1")),
    "retry_jobs": Call(lambda queue: queue.retry_jobs(count=1)),
    "retry_letter": Call(retry_letter, lettered),
    "take_turn": Call(take_turn),
    "update_data": Call(lambda queue: queue.actions.update_data("5", "new")),
    "update_progress": Call(lambda queue: queue.actions.update_progress("5", 50)),
}

READS: dict[str, Callable[[Queue], Awaitable[Any]]] = {
    "count_jobs": lambda queue: queue.counts(),
    "count_priorities": lambda queue: queue.counts_per_priority([0, 1]),
    "get_result": lambda queue: queue.actions.result("3", 10),
    "get_state": lambda queue: queue.actions.get_state("1"),
    "list_ids": lambda queue: ids(queue, "waiting"),
}


async def ids(queue: Queue, state: Any) -> list[str]:
    return [job.id for job in await queue.get_jobs(state, asc=True)]


async def look(queue: Queue) -> Any:
    """All there is to know of the queue, without what tells when."""
    found: dict[str, Any] = {}
    for state in ("waiting", "paused", "active", "delayed", "completed", "failed"):
        for job in await queue.get_jobs(state, asc=True):
            job_id = job.id.rpartition(":")[0]  # the runs of schedules have their time in it
            logs, _ = await queue.actions.get_logs(job.id)
            found.setdefault(state, []).append(
                (job_id or job.id, job.data, job.progress, job.attempts_made, logs)
            )
    found["keys"] = sorted(
        key.rpartition(b":")[0] if key.rpartition(b":")[2].isdigit() else key
        for key in await queue.scripts.ask("KEYS", queue.keys.of("*"))
        if b":toril:answers:" not in key and b":toril:producers:" not in key
    )
    found["id"] = await queue.scripts.ask("GET", queue.keys.of("id"))
    return repr(found).replace(queue.name, "q")


def test_every_script_that_must_not_be_called_twice_is_tried() -> None:
    assert {name.partition(" ")[0] for name in CALLS} == ONCE


@pytest.mark.parametrize("name", [*CALLS, *READS])
async def test_a_call_whose_answer_was_lost_is_done_once(
    server: RedisServer, proxy: Proxy, name: str
) -> None:
    call = CALLS.get(name) or Call(READS[name])
    script = name.partition(" ")[0]
    outcomes = []
    number = uuid.uuid4().hex[:8]
    for url in (server.url, proxy.url):
        async with (
            open_queue(url, f"{number}-{len(outcomes)}") as queue,
            open_queue(server.url, queue.name) as outside,
        ):
            await call.fill(queue)
            if url == proxy.url:
                proxy.lose_answer_to(load(script, once=script in ONCE).sha.encode())
            answer = await call.act(queue)
            if url == proxy.url:
                assert proxy.lost_one
            outcomes.append((repr(answer).replace(queue.name, "q"), await look(outside)))
    if name == "postpone":
        return None  # tells how much time is left
    assert outcomes[0] == outcomes[1]
    return None


async def test_calls_at_once_are_told_apart(server: RedisServer, proxy: Proxy) -> None:
    async with open_queue(proxy.url, uuid.uuid4().hex) as queue:
        job = await queue.add("n", {})
        await job.log("first")
        proxy.lose_answer_to(load("add_log", once=True).sha.encode())
        counts = await asyncio.gather(*(job.log(f"row {number}") for number in range(50)))
        assert proxy.lost_one
        assert sorted(counts) == list(range(2, 52))
        rows, count = await queue.actions.get_logs(job.id)
        assert count == 51
        assert rows[1:] == [f"row {number}" for number in range(50)]


async def test_a_call_that_was_held_up_is_not_carried_out_after_a_later_one(server: RedisServer) -> None:
    async with open_queue(server.url, uuid.uuid4().hex) as queue:
        job = await queue.add("n", "first")
        script, base = load("update_data", once=True), (f"{queue.keys.base}:", queue.token)

        async def call(data: str, request: int) -> Any:
            keys = queue.keys.script_keys
            return await queue.scripts.ask(
                "EVAL", script.source, len(keys), *keys, *base, job.id, data, "", f"me:0:{request}"
            )

        assert await call('"second"', 1) == 0
        assert await call('"third"', 2) == 0
        assert await call('"second"', 1) == 0
        assert (await queue.get_job(job.id)).data == "third"  # type: ignore[union-attr]


async def test_no_more_is_kept_than_calls_were_under_way_at_once(server: RedisServer) -> None:
    async with open_queue(server.url, uuid.uuid4().hex) as queue:
        job = await queue.add("n", {})
        for _ in range(50):
            await job.log("row")
        await asyncio.gather(*(job.log("row") for _ in range(5)))
        for number in range(50):
            await job.update_progress(number)
        [key] = await queue.scripts.ask("KEYS", queue.keys.of("toril:answers:*"))
        assert await queue.scripts.ask("HLEN", key) == 5
        assert 0 < await queue.scripts.ask("PTTL", key) <= 3_600_000


async def test_a_call_is_carried_out_although_its_answer_cannot_be_kept(server: RedisServer) -> None:
    async with open_queue(server.url, uuid.uuid4().hex) as queue:
        job = await queue.add("n", {})
        await job.log("row")
        [key] = await queue.scripts.ask("KEYS", queue.keys.of("toril:answers:*"))
        await queue.scripts.ask("SET", key, "somebody's")
        assert await job.log("row") == 2


def test_a_fork_does_not_go_on_with_the_numbers_of_its_parent() -> None:
    requests = Requests()
    with requests.next() as before:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            with requests.next() as name:
                os.write(writing, name.encode())
            os._exit(0)
        os.waitpid(child, 0)
        told = os.read(reading, 200).decode()
        os.close(reading)
        os.close(writing)
    assert told.partition(":")[0] != before.partition(":")[0]


async def test_a_renewal_waits_for_a_quarter_of_a_lock_and_is_made_again_at_once(
    server: RedisServer, proxy: Proxy
) -> None:
    lock_s = 6.0
    async with open_queue(proxy.url, uuid.uuid4().hex) as queue:
        failures: list[Any] = []
        queue.on("lock_extension_failed", lambda *told: failures.append(told))
        await queue.count()
        renewer = LockRenewer(
            queue.scripts,
            queue.hooks,
            running=lambda: [("1", "me:1")],
            lock_ms=int(lock_s * 1000),
            period=lock_s / 2,
            lost=lambda *_: None,
            cancelled=lambda *_: None,
        )
        server.freeze()
        try:
            async with asyncio.timeout(lock_s * 0.75):
                wait = await renewer.run_once()
        finally:
            server.thaw()
        assert failures
        assert wait is not None
        assert wait <= lock_s / 16
