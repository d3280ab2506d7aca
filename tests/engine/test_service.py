"""The contract of background duties."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.until import until

from toril.engine.service import Service


class Duty(Service):
    """Counts its steps."""

    def __init__(self) -> None:
        super().__init__("duty", 60.0)
        self.steps = 0

    async def run_once(self) -> float | None:
        self.steps += 1
        return None


async def test_a_duty_poked_in_the_moment_it_is_stopped_ends() -> None:
    duty = Duty()
    await duty.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    duty.poke()
    async with asyncio.timeout(60):
        await duty.stop()
    assert duty.steps == 0
    await duty.stop()


async def test_a_poke_comes_before_the_period() -> None:
    duty = Duty()
    await duty.start()
    duty.poke()

    async def stepped() -> bool:
        return duty.steps == 1

    await until(stepped)
    await duty.stop()


@pytest.mark.parametrize("again", [False, True])
async def test_stop_comes_before_start_and_twice(again: bool) -> None:
    duty = Duty()
    await duty.stop()
    await duty.start()
    await duty.start()
    await duty.stop()
    if again:
        await duty.stop()
