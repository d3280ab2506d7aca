"""Sending to many, once: notes of what was sent outlast failures, and one failure ends the attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from toril.queues.send_once import GIVE_UP_AFTER, SendOnce


class Store:
    """Keeps notes, in one write at a time; fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.kept: dict[str, int] = {}
        self.writes = self.at_once = 0

    async def record(self, notes: Mapping[str, int]) -> None:
        self.at_once += 1
        assert self.at_once == 1
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.failures:
            self.failures -= 1
            raise OSError("the database is away")
        self.writes += 1
        self.kept |= notes


async def test_everything_is_sent_and_noted_in_few_writes() -> None:
    store = Store()
    once = SendOnce(store.record)

    async def send(number: int) -> None:
        await once.note({str(number): number})

    await once.run(range(200), send, at_once=20)
    assert store.kept == once.notes == {str(number): number for number in range(200)}
    assert store.writes < 100


async def test_what_was_sent_before_a_note_failed_is_noted_all_the_same() -> None:
    store = Store(failures=1)
    once = SendOnce(store.record)
    sent = []

    async def send(number: int) -> None:
        sent.append(number)
        await once.note({str(number): number})

    with pytest.raises(OSError, match="away"):
        await once.run(range(200), send, at_once=8)
    assert len(sent) < 200
    assert sorted(store.kept.values()) == sorted(sent)


async def test_the_first_failure_ends_it_and_lets_the_others_come_to_their_end() -> None:
    store = Store()
    once = SendOnce(store.record)
    failed, sent = asyncio.Event(), []

    async def send(number: int) -> None:
        if number == 4:  # the last to begin
            failed.set()
            raise ValueError("refused")
        await failed.wait()
        sent.append(number)
        await once.note({str(number): number})

    with pytest.raises(ValueError, match="refused"):
        await once.run(range(100), send, at_once=5)
    assert sorted(sent) == [0, 1, 2, 3]
    assert sorted(store.kept.values()) == [0, 1, 2, 3]


async def test_what_is_under_way_is_noted_when_the_job_is_stopped() -> None:
    store = Store()
    once = SendOnce(store.record)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def send(number: int) -> None:
        begun.set()
        await go_on.wait()
        await once.note({str(number): number})

    task = asyncio.create_task(once.run(range(100), send, at_once=2))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert set(store.kept.values()) == {0, 1}


def test_a_service_is_away_after_faults_in_a_row_and_others_are_not() -> None:
    once = SendOnce(Store().record)
    for _ in range(GIVE_UP_AFTER - 1):
        once.count_fault("a")
    assert not once.is_away("a")
    once.count_success("a")
    for _ in range(GIVE_UP_AFTER):
        once.count_fault("a")
    assert once.is_away("a")
    assert not once.is_away("b")


async def test_nobody_to_write_to_is_no_work() -> None:
    once = SendOnce(Store().record)
    await once.run([], lambda _: once.note({}), at_once=0)
    await once.run([], lambda _: once.note({}), at_once=3)
    assert once.notes == {}
