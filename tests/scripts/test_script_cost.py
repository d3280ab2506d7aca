"""What scripts cost the server, counted in the commands they run rather than in time."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import redis
from tests.support.script_runs import LOCK_MS, Scripts

_MAKE_JOBS = """
for id = ARGV[2], ARGV[3] do redis.call('HSET', ARGV[1] .. id, 'name', 'n', 'data', '{}') end
redis.call('SET', ARGV[1] .. 'toril:numeric', 1)
"""
_DELETE_JOBS = "for id = ARGV[2], ARGV[3] do redis.call('DEL', ARGV[1] .. id) end"


def test_a_plain_add_passes_a_long_row_of_numeric_ids_with_a_few_looks(
    client: redis.Redis, scripts: Scripts
) -> None:
    base, row = f"{scripts.keys.base}:", 200_000
    client.eval(_MAKE_JOBS, 0, base, 1, row)
    added: list[str] = []
    calls = scripts.calls_while(lambda: added.extend(scripts.add(*[0] * 100)))
    assert calls["exists"] < 500
    assert len(set(added)) == 100
    assert all(int(job_id) > row for job_id in added)
    client.eval(_DELETE_JOBS, 0, base, 1, row)


def test_chosen_ids_cannot_drive_the_counter_to_its_end(client: redis.Redis, scripts: Scripts) -> None:
    step, number = 1, 1
    for _ in range(40):  # each lies where the next look would be
        client.eval(_MAKE_JOBS, 0, f"{scripts.keys.base}:", number, number)
        number, step = number + step, step * 2
    (added,) = scripts.add(0)
    assert int(added) < 10_000_000


def _moves(calls: dict[str, int]) -> int:
    """How often a part of a list was moved or walked."""
    return sum(calls.get(name, 0) for name in ("rpop", "lpop", "rpush", "linsert", "lrange", "lrem", "lpos"))


def _add(scripts: Scripts) -> list[str]:
    return scripts.add(*[3, 1, 2, 1] * 125)


def _promote(scripts: Scripts) -> list[str]:
    ids = _jobs_in(scripts, "delayed")
    scripts.run("promote_delayed")
    return ids


def _promote_at_once(scripts: Scripts) -> list[str]:
    ids = _jobs_in(scripts, "delayed")
    scripts.run("promote_jobs", 1000)
    return ids


def _retry(scripts: Scripts) -> list[str]:
    ids = _jobs_in(scripts, "failed")
    scripts.run("retry_jobs", 1000, "")
    return ids


def _jobs_in(scripts: Scripts, state: str) -> list[str]:
    ids = [f"d{number}" for number in range(500)]
    for number, job_id in enumerate(ids):
        priority = [3, 1, 2, 1][number % 4]
        scripts.client.hset(
            scripts.keys.job(job_id), mapping={"name": "n", "data": "{}", "priority": priority}
        )
    scripts.client.zadd(scripts.keys.of(state), {job_id: number for number, job_id in enumerate(ids)})
    return ids


@pytest.mark.parametrize("way", [_add, _promote, _promote_at_once, _retry])
@pytest.mark.parametrize("others", [100, 2_000])
@pytest.mark.parametrize("worker", [True, False], ids=["worker", "no worker"])
def test_many_prioritised_jobs_move_the_list_once(
    scripts: Scripts, way: Callable[[Scripts], list[str]], others: int, worker: bool
) -> None:
    if worker:
        scripts.beat()
    five = scripts.add(*[5] * others)
    ids: list[str] = []
    calls = scripts.calls_while(lambda: ids.extend(way(scripts)))
    assert _moves(calls) < 20
    kinds = [3, 1, 2, 1]
    expected = [job_id for kind in (1, 2, 3) for i, job_id in enumerate(ids) if kinds[i % 4] == kind]
    assert scripts.waiting() == expected + five


def test_jobs_that_belong_deep_in_a_long_list_get_there(scripts: Scripts) -> None:
    """Without a worker all of them are in the list, however many; each kind of batch is placed in its own way."""
    model: list[tuple[int, str]] = []
    shuffled = random.Random(7)
    for count, kinds in (
        (3_000, range(1, 9)),
        (1, [4]),
        (1, [8]),
        (400, range(6, 9)),
        (400, range(1, 4)),
        (3, [2, 7]),
    ):
        priorities = [shuffled.choice(list(kinds)) for _ in range(count)]
        model += zip(priorities, scripts.add(*priorities), strict=True)
        tail = scripts.add(0)
        model.append((99, tail[0]))
        assert scripts.waiting() == [job_id for _, job_id in sorted(model, key=lambda job: job[0])]
    assert scripts.overflow() == []


_NOT_THE_SCRIPTS = {"eval", "info"}


def _commands(scripts: Scripts, work: Callable[[], object]) -> int:
    calls = scripts.calls_while(work)
    return sum(count for name, count in calls.items() if name not in _NOT_THE_SCRIPTS)


@pytest.mark.parametrize("jobs", [1, 50])
def test_an_add_takes_two_commands_for_each_job_and_few_for_the_call(scripts: Scripts, jobs: int) -> None:
    head = ('{"attempts":1,"timestamp":', "", 0, 0, 0, "", "", "")

    def add() -> None:
        scripts.run("add_jobs", 7, 1, *head, *(1, "job", "{}", "") * jobs)

    assert _commands(scripts, add) <= 2 * jobs + 6


@pytest.mark.parametrize("metrics", [0, 15])
@pytest.mark.parametrize("jobs", [1, 50])
def test_an_advance_takes_nine_commands_for_each_job_and_few_for_the_call(
    scripts: Scripts, jobs: int, metrics: int
) -> None:
    """Taking one job and recording another; metrics are written once, however many jobs have ended."""
    scripts.add(*[0] * 3 * jobs)
    taken = scripts.take(jobs)
    before = metrics and [("complete", job_id, scripts.fence_of(job_id)) for job_id in scripts.take(1)]
    for outcome in before or ():  # the first one of all begins the metrics
        scripts.run("advance", LOCK_MS, 0, "", metrics, 0, 0, *outcome, "1", "", "", "-1", "-1", "")
    rows = [
        part
        for job_id in taken
        for part in ("complete", job_id, scripts.fence_of(job_id), "1", "", "", "-1", "-1", "")
    ]
    count = _commands(scripts, lambda: scripts.run("advance", LOCK_MS, jobs, "", metrics, 0, 0, *rows))
    # 4 of the last may push a point of the metrics, at the turn of a minute.
    assert count <= 9 * jobs + 8 + (2 + 4 if metrics else 0)
    assert len(scripts.list_of("active")) == jobs
