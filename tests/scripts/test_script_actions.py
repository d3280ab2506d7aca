"""The scripts that act on single jobs: every reply, and what they leave in the keys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.script_runs import Scripts


def job_with(scripts: Scripts, opts: Any, *, name: str = "x") -> str:
    """A waiting job with options as somebody else stored them; a text is stored as it is."""
    text = opts if isinstance(opts, str) else json.dumps(opts)
    scripts.client.hset(scripts.keys.job(name), mapping={"name": "work", "data": "{}", "opts": text})
    scripts.client.lpush(scripts.keys.of("wait"), name)
    return name


def failed_job(scripts: Scripts, priority: int = 0) -> str:
    (job_id,) = scripts.add(priority)
    scripts.take(1)
    scripts.end("fail", job_id, "no luck", '["trace"]', 1, -1, -1, "")
    return job_id


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("update_progress", ("1", "")),
        ("update_data", ("{}", "")),
        ("add_log", ("row", 0, "")),
        ("cancel_job", ("cancelled",)),
    ],
)
def test_a_missing_job_is_told_and_not_made(
    scripts: Scripts, script: str, arguments: tuple[Any, ...]
) -> None:
    assert scripts.run(script, "gone", *arguments) == -1
    assert scripts.client.keys(f"{scripts.keys.base}:*") == []


def test_progress_and_data_are_stored_as_given(scripts: Scripts) -> None:
    (job_id,) = scripts.add(0)
    assert scripts.run("update_progress", job_id, '{"a":1}', "") == 0
    assert scripts.run("update_data", job_id, "[2]", "") == 0
    assert scripts.client.hmget(scripts.keys.job(job_id), "progress", "data") == ['{"a":1}', "[2]"]


@pytest.mark.parametrize("job_id", ['a"b', "c\\d", "é✓", "x/y"])
def test_ids_are_told_as_json_whatever_is_in_them(scripts: Scripts, job_id: str) -> None:
    job_with(scripts, {}, name=job_id)
    with scripts.client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(scripts.keys.of("progress"))
        pubsub.get_message(timeout=5)
        scripts.run("update_progress", job_id, "7", "")
        message = pubsub.get_message(timeout=5)
    assert json.loads(message["data"]) == {"jobId": job_id, "progress": 7}


def test_a_log_is_trimmed_to_its_newest_rows(scripts: Scripts) -> None:
    (job_id,) = scripts.add(0)
    assert [scripts.run("add_log", job_id, row, 2, "") for row in "abc"] == [1, 2, 2]
    assert scripts.list_of(f"{job_id}:logs") == ["b", "c"]


def test_result_tells_completed_failed_unfinished_and_missing(scripts: Scripts) -> None:
    done = scripts.add(0)[0]
    scripts.take(1)
    scripts.end("complete", done, '"ok"', "", "", -1, -1, "")
    failed, waiting = failed_job(scripts), scripts.add(0)[0]
    replies = [scripts.run("get_result", job_id) for job_id in (done, failed, waiting, "gone")]
    assert replies == [[1, '"ok"'], [2, "no luck"], [0], [-1]]


def test_retry_tells_why_it_did_nothing(scripts: Scripts) -> None:
    job_id = failed_job(scripts)
    assert scripts.run("retry_job", "gone") == 0
    scripts.client.set(scripts.keys.lock(job_id), "a worker")
    assert scripts.run("retry_job", job_id) == -1
    scripts.client.delete(scripts.keys.lock(job_id))
    before = scripts.client.hgetall(scripts.keys.job(job_id))
    assert "retriedOn" not in before
    assert scripts.run("retry_job", job_id) == 1
    assert scripts.run("retry_job", job_id) == -2
    assert scripts.waiting() == [job_id]


@pytest.mark.parametrize("opts", ["", "not json", "[]", "7", '{"lifo":"yes"}'])
def test_retry_reads_strange_options_as_none(scripts: Scripts, opts: str) -> None:
    job_id = failed_job(scripts)
    scripts.client.hset(scripts.keys.job(job_id), "opts", opts)
    (other,) = scripts.add(0)
    assert scripts.run("retry_job", job_id) == 1
    assert scripts.waiting() == [other, job_id]


def test_a_retried_job_forgets_an_old_wish_to_cancel_it(scripts: Scripts) -> None:
    job_id = failed_job(scripts)
    scripts.client.hset(scripts.keys.of("toril:cancelled"), job_id, 1)
    scripts.run("retry_job", job_id)
    assert scripts.client.exists(scripts.keys.of("toril:cancelled")) == 0


def test_promote_moves_the_given_jobs_only(scripts: Scripts) -> None:
    ids = [scripts.add_delayed(60_000 + place) for place in range(3)]
    assert scripts.run("promote_jobs", 1, ids[1]) == [2, [ids[1]]]
    assert scripts.run("promote_jobs", 1, ids[1]) == [2, []]
    assert scripts.run("promote_jobs", 5) == [0, [ids[0], ids[2]]]
    assert scripts.waiting() == [ids[1], ids[0], ids[2]]


def test_remove_tells_what_went_and_what_is_held(scripts: Scripts) -> None:
    ids = scripts.add(0, 0, 2)
    held = scripts.take(1)
    assert held == [ids[2]]
    assert scripts.run("remove_jobs", "", 0, 0, *ids, "gone") == [[ids[0], ids[1], "gone"], held, 2]
    assert scripts.list_of("active") == held
    assert scripts.waiting() == []


def test_a_job_that_got_into_several_places_is_removed_from_all(scripts: Scripts) -> None:
    (job_id,) = scripts.add(4)
    keys = scripts.keys
    for name in ("delayed", "completed", "failed", "toril:overflow"):
        scripts.client.zadd(keys.of(name), {job_id: 1})
    for name in ("paused", "active", "wait"):
        scripts.client.rpush(keys.of(name), job_id, job_id)
    scripts.client.sadd(keys.of("stalled"), job_id)
    scripts.client.hset(keys.of("toril:cancelled"), job_id, 1)
    scripts.run("remove_jobs", "everywhere", 0, 0, job_id)
    assert sorted(scripts.client.keys(f"{keys.base}:*")) == [keys.of("id")]


@pytest.mark.parametrize("depth", [0, 40, 900])
def test_jobs_are_struck_from_a_list_by_their_places(scripts: Scripts, depth: int) -> None:
    ids = scripts.add(*[0] * 1000)
    victims = ids[depth : depth + 100 : 3]
    removed, _, _ = scripts.run("remove_jobs", "wait", depth, depth + 99, *victims)
    assert removed == victims
    assert scripts.waiting() == [job_id for job_id in ids if job_id not in set(victims)]


def test_jobs_that_moved_away_from_their_places_are_found_all_the_same(scripts: Scripts) -> None:
    ids = scripts.add(*[0] * 50)
    scripts.run("remove_jobs", "wait", 0, 5, ids[40], ids[2])
    assert scripts.waiting() == [job_id for job_id in ids if job_id not in (ids[40], ids[2])]


@pytest.mark.parametrize(
    ("opts", "kept"),
    [
        ({}, True),
        ({"removeOnFail": False}, True),
        ({"removeOnFail": None}, True),
        ({"removeOnFail": 5}, True),
        ({"removeOnFail": {"age": 60}}, True),
        ({"removeOnFail": {"age": 60, "count": 1}}, True),
        ("", True),
        ("not json", True),
        ({"removeOnFail": True}, False),
        ({"removeOnFail": 0}, False),
        ({"removeOnFail": {"count": 0}}, False),
        ({"removeOnFail": {"age": 0}}, False),
        ({"removeOnFail": "yes"}, False),
    ],
)
def test_a_cancelled_job_follows_whatever_policy_is_stored(scripts: Scripts, opts: Any, kept: bool) -> None:
    job_id = job_with(scripts, opts)
    assert scripts.run("cancel_job", job_id, "cancelled") == 0
    assert scripts.client.exists(scripts.keys.job(job_id)) == int(kept)
    assert scripts.client.zcard(scripts.keys.of("failed")) == int(kept)
    assert scripts.waiting() == []


def test_cancel_tells_running_and_finished_jobs_apart(scripts: Scripts) -> None:
    failed = failed_job(scripts)
    scripts.add(0)
    (active,) = scripts.take(1)
    assert scripts.run("cancel_job", active, "cancelled") == 1
    assert scripts.run("cancel_job", failed, "cancelled") == 2
    assert scripts.client.hkeys(scripts.keys.of("toril:cancelled")) == [active]
    assert scripts.list_of("active") == [active]


@pytest.mark.parametrize(
    ("keys", "state"),
    [
        ({"completed": "zset", "wait": "list"}, "completed"),
        ({"failed": "zset"}, "failed"),
        ({"delayed": "zset"}, "delayed"),
        ({"active": "list"}, "active"),
        ({"wait": "list"}, "waiting"),
        ({"paused": "list"}, "paused"),
        ({"toril:overflow": "zset"}, "waiting"),
        ({}, "stuck"),
    ],
)
def test_state_is_the_first_place_in_bulls_order(scripts: Scripts, keys: dict[str, str], state: str) -> None:
    scripts.client.hset(scripts.keys.job("x"), "name", "work")
    for name, kind in keys.items():
        if kind == "zset":
            scripts.client.zadd(scripts.keys.of(name), {"x": 1})
        else:
            scripts.client.rpush(scripts.keys.of(name), "x")
    assert scripts.run("get_state", "x") == state
    assert scripts.run("get_state", "gone") == "stuck"
