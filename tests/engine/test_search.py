"""Searching the jobs of a queue."""

from __future__ import annotations

import pytest

from toril.engine.queue import Queue
from toril.engine.search import find_jobs
from toril.engine.worker import Worker
from toril.errors import OptionError


async def search(queue: Queue, text: str, **options: object) -> list[str]:
    """Ids of all that is found, over as many calls as it takes."""
    ids: list[str] = []
    cursor: str | None = None
    while True:
        found = await find_jobs(queue, text, cursor=cursor, **options)  # type: ignore[arg-type]
        ids += [job.id for _, job in found.jobs]
        if found.cursor is None:
            return ids
        assert found.cursor != cursor
        cursor = found.cursor


@pytest.mark.parametrize("look_at", [1, 7, 500, 10_000])
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_every_job_is_met_once_however_small_the_steps(queue: Queue, look_at: int, limit: int) -> None:
    for number in range(20):
        await queue.add("greet", {"to": f"ada-{number}"}, job_id=f"w{number}", priority=number % 4 or None)
        await queue.add("greet", {"to": f"bob-{number}"}, job_id=f"d{number}", delay=60 + number)
    assert await search(queue, "GREET", look_at=look_at, limit=limit, states="delayed") == [
        f"d{number}" for number in reversed(range(20))
    ]
    everything = await search(queue, "greet", look_at=look_at, limit=limit)
    assert sorted(everything) == sorted(f"{kind}{number}" for kind in "wd" for number in range(20))
    assert await search(queue, "ada-1", look_at=look_at, limit=limit, states=("delayed",)) == []
    assert len(await search(queue, "ada-1", look_at=look_at, limit=limit)) == 11


async def test_jobs_behind_the_window_of_priorities_are_found(queue: Queue) -> None:
    async def work(_: object) -> None: ...

    async with Worker(queue, work) as worker:
        await worker.pause()
        await queue.add_bulk([("greet", {"n": n}, {"job_id": f"j{n}", "priority": 5}) for n in range(800)])
        assert await search(queue, "j799") == ["j799"]
        assert len(await search(queue, "greet", limit=100)) == 800


async def test_a_search_goes_on_from_its_place_though_the_job_there_was_deleted(queue: Queue) -> None:
    async def finish(job_id: str, at: int) -> None:
        await queue.add("greet", {}, job_id=job_id)
        await queue.scripts.ask("LREM", queue.keys.of("wait"), 0, job_id)
        await queue.scripts.ask("ZADD", queue.keys.of("completed"), at, job_id)

    for number in range(10):
        await finish(f"j{number}", number)
    first = await find_jobs(queue, "greet", states="completed", limit=3)
    assert [job.id for _, job in first.jobs] == ["j9", "j8", "j7"]
    await finish("newer", 100)
    await queue.actions.remove("j7")
    rest = await find_jobs(queue, "greet", states="completed", cursor=first.cursor)
    assert [job.id for _, job in rest.jobs] == [f"j{number}" for number in reversed(range(7))]


async def test_large_data_ends_a_step_but_not_the_search(queue: Queue) -> None:
    for number in range(6):
        await queue.add("large", {"text": "x" * 400_000, "number": f"no-{number}"}, job_id=str(number))
    assert await search(queue, "no-") == ["5", "4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": ""}, "at least one character"),
        ({"text": "x", "states": "gone"}, "there is no job state"),
        ({"text": "x", "cursor": "nonsense"}, "this cursor is of no search"),
        (
            {"text": "x", "states": "failed", "cursor": "WyJ3YWl0aW5nIiwwLG51bGwsbnVsbF0"},
            "this cursor is of no",
        ),
    ],
)
async def test_a_bad_search_says_what_is_wrong(queue: Queue, options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        await find_jobs(queue, **options)
