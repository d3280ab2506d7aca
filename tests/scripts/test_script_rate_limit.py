"""What ``advance`` takes when a limiter is set."""

from __future__ import annotations

import pytest
import redis
from tests.support.script_runs import LOCK_MS, Scripts


def take(scripts: Scripts, want: int, limiter: str, *claims: str) -> tuple[list[str], int | None]:
    """The ids taken, and what the reply says about the limit."""
    reply = scripts.run("advance", LOCK_MS, want, limiter, 0, 0, len(claims), *claims)
    return [job[11] for job in reply[1]], reply[9]


def add_of(scripts: Scripts, *ids: str) -> None:
    """Jobs with ids of their own, whose end names their group."""
    rows = [part for job_id in ids for part in (1, "job", "{}", job_id)]
    scripts.run("add_jobs", 0, 1, '{"attempts":1,"timestamp":', "", 0, 0, 0, "", "", "", *rows)


def parked(scripts: Scripts) -> list[str]:
    return scripts.client.zrange(scripts.keys.of("delayed"), 0, -1)


def promote_all(scripts: Scripts) -> None:
    """As if the time of all parked jobs had come; places along the line stay as they are."""
    key = scripts.keys.of("delayed")
    first, last = (scripts.client.zrange(key, at, at, withscores=True)[0][1] for at in (0, -1))
    assert last - first < 2**42
    for job_id, score in scripts.client.zrange(key, 0, -1, withscores=True):
        scripts.client.zadd(key, {job_id: score - first})
    scripts.run("promote_delayed")


@pytest.mark.parametrize("want", [1, 10])
def test_jobs_over_the_limit_keep_their_places(scripts: Scripts, want: int) -> None:
    prioritised, (plain,) = scripts.add(*[3] * 5), scripts.add(0)
    before = scripts.list_of("wait")
    taken, limited = [], None
    while limited is None:
        more, limited = take(scripts, want, "2 60000 0")
        taken += more
    assert taken == prioritised[:2]
    assert 50_000 < limited <= 60_000
    assert take(scripts, want, "2 60000 0")[0] == []
    assert scripts.list_of("wait") == before[:-2]
    assert scripts.waiting() == [*prioritised[2:], plain]
    assert parked(scripts) == []
    assert scripts.client.get(scripts.keys.of("limiter")) == "2"


def test_a_queue_over_its_limit_costs_a_few_commands_however_many_wait(scripts: Scripts) -> None:
    scripts.add(*[0] * 2_000)
    take(scripts, 50, "1 60000 0")
    calls = scripts.calls_while(lambda: take(scripts, 50, "1 60000 0"))
    assert sum(calls.values()) - calls["info"] < 20


@pytest.mark.parametrize("priority", [0, 2])
def test_a_job_claimed_over_the_limit_goes_back_to_the_head(scripts: Scripts, priority: int) -> None:
    ids = scripts.add(*[priority] * 5)
    taken, limited = take(scripts, 1, "1 60000 0")
    assert taken == ids[:1]
    assert limited
    client, keys = scripts.client, scripts.keys
    claimed = client.lmove(keys.of("wait"), keys.of("active"), "RIGHT", "LEFT")
    taken, limited = take(scripts, 1, "1 60000 0", claimed)
    assert taken == []
    assert limited
    assert scripts.waiting() == ids[1:]
    assert scripts.list_of("active") == ids[:1]
    assert scripts.priorities() == (set(ids[1:]) if priority else set())


def test_each_worker_applies_its_own_limit_to_the_shared_count(scripts: Scripts) -> None:
    ids = scripts.add(*[0] * 9)
    assert take(scripts, 9, "2 60000 0")[0] == ids[:2]
    taken, limited = take(scripts, 9, "5 60000 0")  # started with a new limit
    assert taken == ids[2:5]
    assert limited
    assert take(scripts, 9, "2 60000 0")[0] == []
    assert take(scripts, 1, "")[0] == ids[5:6]  # without a limit nothing is counted, as with Bull
    assert scripts.client.get(scripts.keys.of("limiter")) == "5"


def test_a_count_without_an_end_does_not_hold_the_queue_up_for_ever(scripts: Scripts) -> None:
    scripts.add(0)
    scripts.client.set(scripts.keys.of("limiter"), 5)
    assert take(scripts, 1, "5 1000 0") == ([], 1000)
    assert scripts.client.pttl(scripts.keys.of("limiter")) > 0


def test_a_job_that_node_parked_is_not_parked_any_more_when_it_runs(scripts: Scripts) -> None:
    (job_id,) = scripts.add(0)
    line = scripts.keys.of("limiter:limited")
    scripts.client.sadd(line, job_id)
    scripts.client.hset(scripts.keys.of("limiter:index"), job_id, line)
    assert take(scripts, 1, "1 1000 0")[0] == [job_id]
    assert not scripts.client.exists(line, scripts.keys.of("limiter:index"))


def test_drained_is_not_said_of_a_queue_over_its_limit(scripts: Scripts) -> None:
    scripts.add(0, 0)
    with scripts.client.pubsub() as heard:
        heard.subscribe(scripts.keys.of("drained"))
        heard.get_message(timeout=5)
        for _ in range(2):
            scripts.run("advance", LOCK_MS, 1, "1 60000 0", 0, 1, 0)
        scripts.client.publish(scripts.keys.of("drained"), "ours")
        message = heard.get_message(timeout=5)
        assert message
        assert message["data"] == "ours"


def test_a_group_over_its_limit_is_passed_and_keeps_its_order(scripts: Scripts) -> None:
    add_of(scripts, *(f"{n}:a" for n in range(7)), "0:b", "1:b")
    limiter = "2 60000 1"
    assert take(scripts, 4, limiter) == (["0:a", "1:a", "0:b", "1:b"], None)
    line = [f"{n}:a" for n in range(2, 7)]
    assert parked(scripts) == line
    add_of(scripts, "7:a", "2:b")
    assert take(scripts, 4, limiter) == ([], None)
    assert [job_id for job_id in parked(scripts) if job_id.endswith("a")] == [*line, "7:a"]
    due = [
        int(score // 4096)
        for job_id, score in scripts.client.zrange(scripts.keys.of("delayed"), 0, -1, withscores=True)
        if job_id.endswith("a")
    ]
    assert due[4] - due[0] >= 119_000  # two windows for each two
    # Some are due before the window has ended, as when it began late: they stay first in their line.
    promote_all(scripts)
    add_of(scripts, "8:a")
    assert take(scripts, 9, limiter) == ([], None)
    assert [job_id for job_id in parked(scripts) if job_id.endswith("a")] == [*line, "7:a", "8:a"]
    for at in range(2, 9, 2):
        scripts.client.delete(scripts.keys.of("limiter:a"), scripts.keys.of("limiter:b"))
        promote_all(scripts)
        taken, _ = take(scripts, 9, limiter)
        assert [job_id for job_id in taken if job_id.endswith("a")] == [
            f"{n}:a" for n in range(at, min(at + 2, 9))
        ]
    assert parked(scripts) == []
    assert not scripts.client.exists(scripts.keys.of("limiter:index"), scripts.keys.of("limiter:a:limited"))


def test_a_long_row_of_one_group_is_passed_in_steps(scripts: Scripts) -> None:
    add_of(scripts, *(f"{n}:a" for n in range(1_200)), "0:b")
    assert take(scripts, 2, "1 60000 1") == (["0:a"], 0)
    assert len(parked(scripts)) < 600
    assert take(scripts, 1, "1 60000 1") == ([], 0)
    assert take(scripts, 1, "1 60000 1") == (["0:b"], None)
    assert parked(scripts) == [f"{n}:a" for n in range(1, 1_200)]


def test_groups_named_like_the_limiters_own_keys_harm_nothing(client: redis.Redis, scripts: Scripts) -> None:
    add_of(scripts, "0:index", "1:index", "2:index", "0:limited", "1:limited", "0:b", "1:b")
    assert take(scripts, 9, "1 60000 1") == (["0:index", "0:limited", "0:b"], None)
    assert take(scripts, 9, "1 60000 1") == ([], None)
    assert len(parked(scripts)) == 4


def come_due(scripts: Scripts, *ids: str) -> None:
    """As if the time of these parked jobs had come."""
    for place, job_id in enumerate(ids):
        scripts.client.zadd(scripts.keys.of("delayed"), {job_id: 4096 + place})
    scripts.run("promote_delayed")


def test_parked_jobs_come_back_to_the_head_in_their_order(scripts: Scripts) -> None:
    limiter = "1 60000 1"
    add_of(scripts, "1:a", "2:a", "3:a", "4:a", "5:a", "1:b", "1:c", "1:d")
    assert take(scripts, 2, limiter) == (["1:a", "1:b"], None)
    assert parked(scripts) == ["2:a", "3:a", "4:a", "5:a"]
    add_of(scripts, "6:a", "1:e")
    come_due(scripts, "2:a", "3:a")
    assert scripts.waiting() == ["2:a", "3:a", "1:c", "1:d", "6:a", "1:e"]
    come_due(scripts, "4:a")  # behind those that are back already
    come_due(scripts, "5:a")
    assert scripts.waiting() == ["2:a", "3:a", "4:a", "5:a", "1:c", "1:d", "6:a", "1:e"]
    scripts.client.delete(scripts.keys.of("limiter:a"))
    assert take(scripts, 3, limiter) == (["2:a", "1:c", "1:d"], None), "the group has room again"
    assert parked(scripts) == ["3:a", "4:a", "5:a"]


def test_parked_jobs_with_priority_come_back_before_their_equals(scripts: Scripts) -> None:
    head = '{"attempts":1,"timestamp":'
    ranks = {"1:a": 3, "2:a": 3, "3:a": 3, "1:b": 3, "1:c": 2, "1:d": 4}
    groups = [part for priority in (2, 3, 4) for part in (head, "", 0, priority, 0, "", "", "")]
    rows = [part for job_id, rank in ranks.items() for part in (rank - 1, "job", "{}", job_id)]
    scripts.run("add_jobs", 0, 3, *groups, *rows)
    assert take(scripts, 3, "1 60000 1")[0] == ["1:c", "1:a", "1:b"]
    assert parked(scripts) == ["2:a", "3:a"]
    scripts.run("add_jobs", 0, 3, *groups, 1, "job", "{}", "1:e", 2, "job", "{}", "4:a")
    come_due(scripts, "2:a", "3:a")
    assert scripts.waiting() == ["1:e", "2:a", "3:a", "4:a", "1:d"]


def test_a_retried_job_goes_to_the_tail_though_others_are_parked(scripts: Scripts) -> None:
    add_of(scripts, "1:a", "2:a", "1:b", "1:c", "1:d")
    assert take(scripts, 2, "1 60000 1")[0] == ["1:a", "1:b"]
    assert scripts.end("delay", "1:b", "no luck", "[]", 1, 1, "", "") == 0
    come_due(scripts, "1:b")
    assert scripts.waiting() == ["1:c", "1:d", "1:b"]


def test_looking_for_parked_jobs_costs_queues_without_groups_one_command(scripts: Scripts) -> None:
    ids = scripts.add(*[0] * 30)
    scripts.client.delete(scripts.keys.of("wait"))
    calls = scripts.calls_while(lambda: come_due(scripts, *ids))
    assert scripts.waiting() == ids
    assert (calls.get("hmget", 0), calls["exists"]) == (0, 2), "one of them asks whether the queue is paused"
