"""The scripts that change a queue as a whole, step by step."""

from __future__ import annotations

import pytest
from tests.support.script_runs import Scripts

WINDOW = 512


def test_pause_moves_the_list_and_resume_moves_it_back(scripts: Scripts) -> None:
    ids = scripts.add(0, 0, 3)
    before = scripts.list_of("wait")
    scripts.run("pause", 1)
    assert (scripts.list_of("wait"), scripts.list_of("paused")) == ([], before)
    scripts.run("pause", 0)
    assert (scripts.list_of("wait"), scripts.list_of("paused")) == (before, [])
    assert scripts.waiting() == [ids[2], ids[0], ids[1]]


@pytest.mark.parametrize("strays", [1, 2500])
@pytest.mark.parametrize("waiting", [0, 3])
def test_strays_of_any_number_go_behind_the_others(scripts: Scripts, strays: int, waiting: int) -> None:
    ids = [*scripts.add(*[0] * waiting)] if waiting else []
    scripts.run("pause", 1)
    stray = [f"s{number}" for number in range(strays)]
    scripts.client.lpush(scripts.keys.of("wait"), *stray)
    scripts.run("pause", 0)
    assert scripts.waiting() == ids + stray


def test_a_step_of_cleaning_goes_on_behind_the_last_kept_job(scripts: Scripts) -> None:
    ids = scripts.add(*[0] * 25)
    scripts.client.hset(scripts.keys.job(ids[4]), "timestamp", 1)
    scripts.client.hset(scripts.keys.job(ids[17]), "timestamp", 1)
    first = scripts.run("clean_list", "wait", "", 10, 60_000, 0)
    assert first == [[ids[4]], ids[9], 0]
    # What was kept may be taken or moved meanwhile; then it begins again at the head.
    scripts.take(3)
    second = scripts.run("clean_list", "wait", ids[9], 10, 60_000, 0)
    assert second == [[ids[17]], ids[19], 0]
    assert scripts.run("clean_list", "wait", ids[19], 10, 60_000, 0) == [[], ids[24], 1]
    assert scripts.run("clean_list", "wait", "gone", 10, 60_000, 0)[1:] == [ids[13], 0]


def test_a_step_of_cleaning_a_set_counts_what_it_keeps(scripts: Scripts) -> None:
    ids = [scripts.add_delayed(1000 * place) for place in range(1, 13)]
    for job_id in ids[1::2]:
        scripts.client.hset(scripts.keys.job(job_id), "timestamp", 1)
    assert scripts.run("clean_set", "delayed", 0, 5, 60_000, 0) == [[ids[1], ids[3]], 3, 0]
    assert scripts.run("clean_set", "delayed", 3, 5, 60_000, 1) == [[ids[5]], 3, 1]
    assert scripts.run("clean_set", "delayed", 3, 50, 60_000, 0) == [ids[7::2], 6, 1]
    assert scripts.client.zrange(scripts.keys.of("delayed"), 0, -1) == ids[::2]


@pytest.mark.parametrize("place", ["wait", "delayed", "completed"])
def test_a_grace_of_nothing_takes_jobs_of_this_millisecond(scripts: Scripts, place: str) -> None:
    for _ in range(200):  # several of them are added and cleaned in one ms
        if place == "delayed":
            job_id = scripts.add_delayed(60_000)
        else:
            (job_id,) = scripts.add(0)
        if place == "completed":
            scripts.client.delete(scripts.keys.of("wait"))
            now = scripts.client.time()
            scripts.client.zadd(scripts.keys.of("completed"), {job_id: now[0] * 1000 + now[1] // 1000})
        script, start = ("clean_list", "") if place == "wait" else ("clean_set", 0)
        assert scripts.run(script, place, start, 10, 0, 0)[0] == [job_id]


def test_cleaning_without_grace_takes_held_jobs_too(scripts: Scripts) -> None:
    (job_id,) = scripts.add(0)
    scripts.client.set(scripts.keys.lock(job_id), "somebody")
    assert scripts.run("clean_list", "wait", "", 10, 0, 0)[0] == []
    assert scripts.run("clean_list", "wait", "", 10, "", 0)[0] == [job_id]


def test_cleaning_the_windows_end_keeps_the_order(scripts: Scripts) -> None:
    scripts.beat()
    ids = scripts.add(*[1] * (WINDOW + 50))
    for job_id in ids[WINDOW - 5 : WINDOW]:
        scripts.client.hset(scripts.keys.job(job_id), "timestamp", 1)
    removed, after = [], ""
    for _ in range(2):
        victims, after, _ = scripts.run("clean_list", "wait", after, 400, 60_000, 0)
        removed += victims
    assert removed == ids[WINDOW - 5 : WINDOW]
    nodes = [scripts.node_add(1)]
    served = []
    while got := scripts.take(100):
        served += got
    assert served == ids[: WINDOW - 5] + ids[WINDOW:] + nodes


def test_obliterate_wants_a_paused_queue_without_active_jobs(scripts: Scripts) -> None:
    scripts.add(0, 0)
    assert scripts.run("obliterate", 0, 100) == -1
    scripts.take(1)
    scripts.run("pause", 1)
    assert scripts.run("obliterate", 0, 100) == -2
    assert scripts.run("obliterate", 1, 100) == 2
    assert scripts.run("obliterate", 1, 100) == 0
    assert scripts.client.keys(f"{scripts.keys.base}:*") == []


def test_obliterate_deletes_a_bounded_number_at_a_time(scripts: Scripts) -> None:
    scripts.add(*[0] * 25)
    scripts.run("pause", 1)
    deleted = [scripts.run("obliterate", 0, 10) for _ in range(4)]
    assert deleted == [10, 10, 5, 0]


def test_retrying_in_steps_leaves_what_failed_after_the_first(scripts: Scripts) -> None:
    ids = scripts.add(*[0] * 5)
    scripts.take(5)
    for job_id in ids:
        scripts.end("fail", job_id, "no luck", "[]", 1, -1, -1, "")
    moved, more, before = scripts.run("retry_jobs", 3, "")
    assert (moved, more) == (3, 1)
    scripts.client.zadd(scripts.keys.of("failed"), {ids[0]: int(before) + 1})
    moved, more, again = scripts.run("retry_jobs", 3, before)
    assert (moved, more, again) == (2, 0, before)
    assert scripts.client.zrange(scripts.keys.of("failed"), 0, -1) == [ids[0]]
