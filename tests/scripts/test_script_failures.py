"""Every script with a failure at each of its calls to the server in turn: no job may get lost or be there twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from tests.support.broken_scripts import BrokenScripts, Snapshot, fill, places_of
from tests.support.script_runs import LOCK_MS
from tests.support.servers import RedisServer, server_binaries

from toril.engine.keys import QueueKeys
from toril.engine.scripts.loader import load, names

#: Gives the arguments of a call, from the ids of the jobs by name.
Arguments = Callable[[dict[str, str]], list[Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """How a script is called, and how often until it has done its work."""

    arguments: Arguments
    removes: bool = False  #: it deletes jobs: until it is called again, one may be there in part
    until_zero: bool = False
    dead: bool = False


OUTCOMES: tuple[tuple[str, ...], ...] = (
    ("complete", "held-0", '"result"', "", "", "-1", "-1", "twice"),
    ("complete", "held-1", '"result"', "", "", "100", "-1", ""),
    ("complete", "held-2", '"result"', "", "", "0", "-1", ""),
    ("return", "held-3", "", "", "", "", "2", ""),
    ("return", "held-4", "", "", "", "", "0", ""),
    ("fail", "held-5", "broken", '["trace"]', "1", "-1", "-1", ""),
    ("cancel", "held-6", "cancelled", "[]", "1", "-1", "-1", ""),
    ("retry", "held-7", "broken", "[]", "1", "0", "2", ""),
    ("retry", "held-8", "broken", "[]", "1", "1", "0", ""),
    ("delay", "held-9", "broken", "[]", "1", "60000", "", ""),
    ("retry", "held-10", "broken", "[]", "1", "0", "0", ""),
)


def outcomes(ids: dict[str, str], left: list[str], fence: str) -> list[Any]:
    rows: list[Any] = []
    for verb, name, *rest in OUTCOMES:
        if name in left:
            rows += [verb, ids[name], fence, *rest]
    return rows


def new_jobs(_: dict[str, str]) -> list[Any]:
    head = '{"attempts":1,"timestamp":'
    groups = (
        (0, 0, 0, ""),
        (0, 2, 0, ""),
        (60_000, 0, 0, ""),
        (0, 0, 1, ""),
        (0, 0, 0, "fresh"),
        (0, 0, 0, "once"),
    )
    rows: list[Any] = [7, len(groups)]
    for delay, priority, lifo, deid in groups:
        rows += [head, "", delay, priority, lifo, deid, "", ""]
    for n in range(12):
        rows += [1 + n % len(groups), f"new-{n}", "{}", "90" if n == 6 else ""]
    return rows


def one(name: str, *more: Any) -> Arguments:
    return lambda ids: [ids[name], *more]


def plain(*arguments: Any) -> Arguments:
    return lambda _: list(arguments)


RUN_OPTS = '{"attempts":1,"repeat":{"every":1000,"key":"k","count":2},"prevMillis":9000000001000'

#: One entry for each script of the folder.
CALLS: dict[str, list[Call]] = {
    "add_jobs": [Call(new_jobs)],
    "add_log": [Call(one("plain-0", "row", 1, ""))],
    "advance": [
        Call(lambda _: []),  # see below
    ],
    "arm_schedule": [
        Call(plain("add", "new", "repeat:n:", 1, "", "", "fresh", "{}", RUN_OPTS, 1, 1, "{}")),
        Call(
            plain("add", "new", "repeat:n:", 9_000_000_000_500, "", "", "fresh", "{}", RUN_OPTS, 0, 1, "{}")
        ),
    ],
    "cancel_job": [
        Call(one(name, "cancelled")) for name in ("plain-1", "urgent-0", "urgent-11", "later", "held-0")
    ],
    "check_schedules": [Call(plain(1, "k", "repeat:k:"))],
    "clean_list": [Call(plain("wait", "", 100, "", 0), removes=True)],
    "clean_set": [
        Call(plain(name, 0, 100, "", 0), removes=True)
        for name in ("completed", "failed", "delayed", "overflow")
    ],
    "count_jobs": [Call(plain())],
    "count_priorities": [Call(plain(0, 1, 2))],
    "end_debounce": [Call(plain("d"))],
    "get_result": [Call(one("done-1"))],
    "get_state": [Call(one("plain-0"))],
    "list_ids": [Call(plain("waiting", 0, -1, 1))],
    "match_jobs": [Call(lambda ids: ["zzz", "zzz", 100_000, *ids.values()])],
    "measure_jobs": [Call(lambda ids: list(ids.values()))],
    "move_stalled": [Call(plain(1, 60_000, "work"), dead=True)],
    "obliterate": [Call(plain(1, 7), removes=True, until_zero=True)],
    "pause": [Call(plain(1)), Call(plain(0))],
    "postpone": [Call(one("held-0", 1, 60_000, 1000))],
    "promote_delayed": [Call(plain())],
    "promote_jobs": [Call(plain(100)), Call(lambda ids: [1, ids["due-1"]])],
    "put_back_lost": [
        Call(lambda ids: ["", ids["lost-1"], ids["lost-urgent"]]),
        Call(lambda ids: [1, ids["lost-1"], ids["lost-urgent"], ids["stalled-often"]]),
    ],
    "reclaim": [Call(plain())],
    "refill_window": [Call(plain())],
    "register_worker": [Call(plain(60_000)), Call(plain(0), until_zero=True)],
    "remove_jobs": [
        Call(
            lambda ids: ["", 0, 0, *(ids[n] for n in ("plain-1", "urgent-0", "later", "done-1"))],
            removes=True,
        ),
        Call(lambda ids: ["wait", 0, 9, ids["plain-1"], ids["urgent-0"]], removes=True),
        Call(lambda ids: ["everywhere", 0, 0, ids["urgent-11"]], removes=True),
    ],
    "remove_schedule": [Call(plain("k", "repeat:k:"), removes=True)],
    "renew_locks": [Call(lambda ids: [LOCK_MS, ids["held-0"], "tester:1", ids["held-1"], "tester:2"])],
    "restore_overflow": [Call(plain(0)), Call(plain(1))],
    "retry_job": [Call(one("failed-1")), Call(one("failed-urgent"))],
    "retry_jobs": [Call(plain(100, ""))],
    "retry_letter": [
        Call(lambda ids: ["1:work:1", ids["failed-1"], "failed-1", "{}", "{}", "", 0, 0], dead=True),
        Call(lambda _: ["1:work:1", "gone", "gone", "{}", "{}", "", 2, 0], dead=True),
    ],
    "take_turn": [
        Call(lambda ids: ["mail", 500, 60_000, "reserve", 0, f"o1:{ids['held-0']}", ""]),
        Call(lambda ids: ["mail", 500, 60_000, "come", 0, f"o1:{ids['held-0']}", ""]),
        Call(lambda ids: ["mail", 500, 60_000, "hold", 1000, f"o1:{ids['held-0']}", "1"]),
        Call(lambda ids: ["mail", 500, 60_000, "end", 0, f"o1:{ids['held-0']}", "1"]),
    ],
    "update_data": [Call(one("plain-0", '{"other":1}', ""))],
    "update_progress": [Call(one("held-0", "50", ""))],
}


@pytest.fixture
def server_url(start_server: Callable[[str], RedisServer]) -> str:
    """One server is enough: what is looked at is our scripts."""
    return start_server("valkey" if "valkey" in server_binaries() else "redis").url


@pytest.fixture
def broken(client: redis.Redis, prefix: str) -> Iterator[BrokenScripts]:
    scripts = BrokenScripts(client, QueueKeys("work", prefix), QueueKeys("dead", prefix))
    yield scripts
    scripts.close()


def filled(broken: BrokenScripts, name: str) -> tuple[Snapshot, dict[str, str]]:
    """A queue to call the script on, and the ids of its jobs by name."""
    fill(broken)
    client, of = broken.client, broken.keys.of
    ids = {}
    for key in client.keys(of("*")):
        if client.type(key) == "hash" and (job := client.hget(key, "name")):
            ids[job] = key.removeprefix(of(""))
    if name == "obliterate":
        broken.run("pause", 1)
    if name == "pause":
        client.lmove(of("wait"), of("paused"))
    if name == "retry_letter":
        client.hset(broken.dead.of("1:work:1"), mapping={"name": "failed-1", "data": '{"name":"failed-1"}'})
        client.lpush(broken.dead.of("wait"), "1:work:1")
        client.hdel(broken.keys.job(ids["failed-1"]), "timestamp")
    return broken.snapshot(), ids


def until_done(broken: BrokenScripts, name: str, call: Call, arguments: list[Any]) -> None:
    broken.client.delete(broken.keys.of("stalled-check"))
    if name == "move_stalled":  # a job it could not move is a suspect of the next look
        broken.run(name, *arguments, dead=call.dead)
    broken.client.delete(broken.keys.of("stalled-check"))
    reply = broken.run(name, *arguments, dead=call.dead)
    while call.until_zero and reply != 0:
        reply = broken.run(name, *arguments, dead=call.dead)


def assert_each_in_one_place(state: dict[str, Any], *, removes: bool) -> None:
    for job, places in places_of(state).items():
        if removes or job.startswith("no job"):
            assert len(places) <= 1, (job, places)
        else:
            assert len(places) == 1, (job, places)


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name in names() for number in range(len(CALLS.get(name, [0])))]
)
def test_a_script_that_fails_anywhere_loses_no_job(broken: BrokenScripts, name: str, number: int) -> None:
    assert name in CALLS, f"say in CALLS how {name}.lua is called"
    if name == "advance":
        return  # it answers for each job: below
    call = CALLS[name][number]
    snapshot, ids = filled(broken, name)
    arguments = call.arguments(ids)
    broken.client.delete(broken.keys.of("stalled-check"))
    until_done(broken, name, call, arguments)
    wanted = broken.state()
    at = 0
    while True:
        at += 1
        broken.restore(snapshot)
        broken.client.delete(broken.keys.of("stalled-check"))
        _, failed = broken.run_failing(name, at, *arguments, dead=call.dead)
        if not failed:
            break
        assert_each_in_one_place(broken.state(), removes=call.removes)
        until_done(broken, name, call, arguments)
        assert broken.state() == wanted, f"call {at} of {name} failed"
    assert at > 1


@pytest.mark.parametrize("limiter", ["", "2 60000 0"])
def test_an_advance_that_fails_anywhere_loses_no_outcome(broken: BrokenScripts, limiter: str) -> None:
    snapshot, ids = filled(broken, "advance")
    everything = [name for _, name, *_ in OUTCOMES]
    fence = broken.fence_of(ids["held-0"])  # all were taken by one call

    def head(want: int) -> list[Any]:
        return [LOCK_MS, want, limiter, 5, 0, 1, ids["lost-1"]]

    def state() -> dict[str, Any]:
        # Whom a limiter admits depends on who comes first.
        left_out = ("waiting", "active", "delayed") if limiter else ()
        return {what: value for what, value in broken.state().items() if what not in left_out}

    broken.run("advance", *head(100), *outcomes(ids, everything, fence), "work", dead=True)
    wanted = state()
    at = 0
    while True:
        at += 1
        broken.restore(snapshot)
        call = [*head(100), *outcomes(ids, everything, fence), "work"]
        reply, failed = broken.run_failing("advance", at, *call, dead=True)
        if not failed:
            break
        assert_each_in_one_place(broken.state(), removes=False)
        # As the committer does: what was not recorded is sent again.
        left = everything
        if not isinstance(reply, redis.ResponseError):
            left = [name for name, code in zip(everything, reply[0], strict=True) if code == -9]
        again = broken.run("advance", *head(100), *outcomes(ids, left, f"-{fence}"), "work", dead=True)
        assert all(code in (0, 1, 2) for code in again[0]), f"call {at}: {again[0]}"
        assert state() == wanted, f"call {at} of advance failed"
    assert at > 100


def test_numbers_are_read_by_one_function_only() -> None:
    for name in names():
        source = load(name).source
        assert source.count("tonumber(") == source.count("local value = tonumber(text)"), (
            f"{name}.lua: Lua's tonumber takes 'nan', 'inf' and '0x10' for numbers; use number()"
        )
