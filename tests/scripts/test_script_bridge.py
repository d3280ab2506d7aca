"""Prioritised adds in great numbers while no Toril worker lives, counted in what they move."""

from __future__ import annotations

import random

import redis
from tests.support.script_runs import Scripts

BACKLOG, BRIDGE = 4_096, "adds"


def hold_bridge(scripts: Scripts) -> None:
    """Let a bridge that was made not run out by itself, however slow the machine."""
    scripts.client.zadd(scripts.keys.of("toril:workers"), {BRIDGE: 1e14}, xx=True)


def add_batches(
    scripts: Scripts, count: int, *, size: int = 250, seed: int = 1, hold: bool = True
) -> list[tuple[int, str]]:
    """Add batches of mixed priorities; (priority, id) of each job in the order of the adds."""
    drawn = random.Random(seed)
    model: list[tuple[int, str]] = []
    for _ in range(count):
        if hold:
            hold_bridge(scripts)
        priorities = [drawn.randint(1, 50) for _ in range(size)]
        model += zip(priorities, scripts.add(*priorities), strict=True)
    return model


def in_order(model: list[tuple[int, str]]) -> list[str]:
    return [job_id for _, job_id in sorted(model, key=lambda job: job[0])]


def end_bridge(scripts: Scripts) -> None:
    """Let it run out, and what it held up go back."""
    scripts.client.zadd(scripts.keys.of("toril:workers"), {BRIDGE: 1}, xx=True)
    while scripts.run("restore_overflow", 0) != [0, 0]:
        pass


def test_many_adds_without_a_worker_do_not_move_the_list_each_time(
    client: redis.Redis, scripts: Scripts
) -> None:
    model = add_batches(scripts, 16)
    plain = scripts.add(0)
    model += add_batches(scripts, 60, seed=2)
    # What is not in the list is not moved with it.
    assert client.llen(scripts.keys.of("wait")) < 2_000
    assert scripts.waiting() == in_order(model) + plain
    end_bridge(scripts)
    assert scripts.list_of("wait") == plain + in_order(model)[::-1]
    assert scripts.overflow() == []


def test_a_few_adds_without_a_worker_stay_where_node_sees_them(scripts: Scripts) -> None:
    model = add_batches(scripts, 20)
    end_bridge(scripts)
    scripts.client.delete(scripts.keys.of("toril:burst"))
    for seed in range(9):
        model += add_batches(scripts, 1, size=10, seed=seed, hold=False)
    assert scripts.overflow() == []
    assert scripts.list_of("wait") == in_order(model)[::-1]


def test_adds_begin_and_end_over_again_without_losing_order(scripts: Scripts) -> None:
    model: list[tuple[int, str]] = []
    for seed in range(4):
        model += add_batches(scripts, 20 if seed == 0 else 3, seed=seed)
        if seed % 2:
            end_bridge(scripts)
        else:
            # Adds of others while it is put back.
            scripts.client.zadd(scripts.keys.of("toril:workers"), {BRIDGE: 1}, xx=True)
            scripts.run("restore_overflow", 0)
            model += add_batches(scripts, 2, size=120, seed=seed + 10, hold=False)
            end_bridge(scripts)
        assert scripts.waiting() == in_order(model)
    assert scripts.overflow() == []


def test_node_finds_the_window_filled_while_adds_go_on(scripts: Scripts) -> None:
    model = add_batches(scripts, 40)
    assert scripts.overflow()
    for number in range(20):
        expected = in_order(model)[:120]
        assert [scripts.node_take() for _ in range(120)] == expected
        taken = set(expected)
        model = [job for job in model if job[1] not in taken]
        if number % 2:
            model += add_batches(scripts, 1, seed=number)
        else:
            hold_bridge(scripts)
            assert scripts.run("restore_overflow", 0)[1] > 0


def test_a_worker_that_comes_keeps_what_is_overflowed(scripts: Scripts) -> None:
    model = add_batches(scripts, 40)
    hold_bridge(scripts)
    scripts.beat()
    assert scripts.run("restore_overflow", 1) == [0, 0]
    overflowed = len(scripts.overflow())
    assert overflowed > 5_000
    assert bridge_of(scripts) is None
    model += add_batches(scripts, 1, seed=3, hold=False)
    assert bridge_of(scripts) is None
    served: list[str] = []
    while got := scripts.take(500):
        served += got
    assert served == in_order(model)


def bridge_of(scripts: Scripts) -> float | None:
    return scripts.client.zscore(scripts.keys.of("toril:workers"), BRIDGE)


def test_a_short_list_needs_no_bridge(scripts: Scripts) -> None:
    model = add_batches(scripts, BACKLOG // 250)
    assert scripts.overflow() == []
    assert scripts.list_of("wait") == in_order(model)[::-1]
