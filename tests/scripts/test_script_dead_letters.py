"""``dead_letter.lua`` and ``retry_letter.lua`` alone: what a letter holds, that it is one, where its job goes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from tests.support.script_runs import LOCK_MS, Scripts

from toril.engine.letter_box import LetterBox
from toril.engine.scripts.loader import load

FAILED = ("no luck", '["trace"]', 1, -1, -1, "")


class Letters:
    """The scripts of a queue whose failed jobs become dead letters of another one."""

    def __init__(self, scripts: Scripts) -> None:
        self.scripts, self.client = scripts, scripts.client
        self.box = LetterBox("dead-letter", scripts.keys)

    def run(self, name: str, keys: tuple[bytes, ...], *arguments: Any) -> Any:
        own = self.scripts.keys
        every = [*own.script_keys, *keys]
        return self.client.eval(
            load(name).source, len(every), *every, f"{own.base}:", self.scripts.token, *arguments
        )

    def end(self, verb: str, job_id: str, *arguments: Any, resent: int = 0) -> int:
        """Record how a taken job ended; the code of ``advance``."""
        fence = f"{'-' * resent}{self.scripts.fence_of(job_id)}"
        call = (LOCK_MS, 0, "", 0, 0, 0, verb, job_id, fence, *arguments, self.scripts.keys.name)
        return int(self.run("advance", self.box.keys_to_add, *call)[0][0])

    def fail(self, job_id: str, *, keep: int = -1, resent: int = 0) -> int:
        return self.end("fail", job_id, "no luck", '["trace"]', 1, keep, -1, "", resent=resent)

    def retry(self, letter_id: str, **job: Any) -> int:
        """Retry a letter as ``DeadLetters`` does; the code."""
        kept = json.loads(self.client.hget(self.box.keys.job(letter_id), "data") or "{}")
        job = {"jobId": "1", "name": "job", "data": {}, "opts": {}, "timestamp": "", **kept, **job}
        texts = (json.dumps(job["data"]), json.dumps(job["opts"]))
        arguments = (job["jobId"], job["name"], *texts, job["timestamp"], job.get("priority", 0), 0)
        return int(self.run("retry_letter", self.box.all_keys, letter_id, *arguments))

    def ids(self, suffix: str = "wait") -> list[str]:
        """Ids of letters, the oldest first."""
        return self.client.lrange(self.box.keys.of(suffix), 0, -1)[::-1]

    def hash(self, letter_id: str) -> dict[str, str]:
        return self.client.hgetall(self.box.keys.job(letter_id))

    def data(self, letter_id: str) -> dict[str, Any]:
        return json.loads(self.hash(letter_id)["data"])


@pytest.fixture
def letters(scripts: Scripts) -> Letters:
    return Letters(scripts)


def taken(scripts: Scripts, *priorities: int) -> list[str]:
    scripts.add(*priorities)
    return scripts.take(len(priorities))


def test_a_letter_holds_the_job_as_it_failed(letters: Letters, scripts: Scripts) -> None:
    [job_id] = taken(scripts, 3)
    assert letters.fail(job_id) == 0
    assert letters.ids() == ["1:work:1"]
    kept, job = letters.data("1:work:1"), scripts.client.hgetall(scripts.keys.job(job_id))
    assert kept == {
        "queue": "work",
        "jobId": "1",
        "name": "job",
        "data": {},
        "opts": json.loads(job["opts"]),
        "failedReason": "no luck",
        "stacktrace": ["trace"],
        "attemptsMade": 1,
        "stalledCounter": 0,
        "timestamp": int(job["timestamp"]),
        "processedOn": int(job["processedOn"]),
        "failedAt": int(job["finishedOn"]),
        "unreadable": [],
    }
    stored = letters.hash("1:work:1")
    assert (stored["name"], stored["delay"], stored["priority"]) == ("job", "0", "0")
    assert json.loads(stored["opts"]) == {
        "attempts": 1,
        "delay": 0,
        "jobId": "1:work:1",
        "timestamp": int(job["finishedOn"]),
    }


def test_a_letter_survives_that_its_job_is_not_kept(letters: Letters, scripts: Scripts) -> None:
    [job_id] = taken(scripts, 0)
    letters.fail(job_id, keep=0)
    assert not scripts.client.exists(scripts.keys.job(job_id))
    assert letters.data("1:work:1")["failedReason"] == "no luck"


def test_an_outcome_that_is_sent_twice_writes_one_letter(letters: Letters, scripts: Scripts) -> None:
    kept, gone = taken(scripts, 0, 0)
    assert [letters.fail(kept), letters.fail(kept, resent=1)] == [0, 1]
    assert [letters.fail(gone, keep=0), letters.fail(gone, keep=0, resent=1)] == [0, 1]
    assert letters.ids() == [f"1:work:{kept}", f"2:work:{gone}"]


def test_each_final_failure_writes_a_letter_of_its_own(letters: Letters, scripts: Scripts) -> None:
    [job_id] = taken(scripts, 0)
    for number in (1, 2):
        letters.fail(job_id)
        assert letters.ids()[-1] == f"{number}:work:{job_id}"
        assert scripts.run("retry_job", job_id) == 1
        assert scripts.take(1) == [job_id]


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("complete", ("null", "", "", -1, -1, "")),
        ("retry", ("no luck", "[]", 1, 0, 0, "")),
        ("delay", ("no luck", "[]", 1, 1000, "", "")),
        ("return", ("", "", "", "", 0, "")),
        ("cancel", FAILED),
    ],
)
def test_only_a_failure_for_good_writes_a_letter(
    letters: Letters, scripts: Scripts, verb: str, arguments: tuple[Any, ...]
) -> None:
    [job_id] = taken(scripts, 0)
    assert letters.end(verb, job_id, *arguments) == 0
    assert not scripts.client.exists(letters.box.keys.of("id"), letters.box.keys.of("wait"))


def test_what_somebody_cancelled_writes_no_letter(letters: Letters, scripts: Scripts) -> None:
    running, ends_by_itself, waiting = [scripts.add(0)[0] for _ in range(3)]
    scripts.take(2)
    for job_id in (running, ends_by_itself, waiting):
        scripts.run("cancel_job", job_id, "cancelled")
    assert letters.end("retry", running, "no luck", "[]", 1, 0, 0, "") == 2
    assert letters.fail(ends_by_itself) == 0
    assert scripts.client.zcard(scripts.keys.of("failed")) == 3
    assert not scripts.client.exists(letters.box.keys.of("id"))


def test_without_the_keys_nothing_is_written(letters: Letters, scripts: Scripts) -> None:
    [job_id] = taken(scripts, 0)
    assert scripts.end("fail", job_id, *FAILED) == 0
    assert not scripts.client.exists(letters.box.keys.of("id"))


def test_a_job_that_stalls_too_often_becomes_a_letter(letters: Letters, scripts: Scripts) -> None:
    [job_id] = taken(scripts, 0)
    scripts.client.hset(scripts.keys.job(job_id), "opts", '{"removeOnFail":true}')
    scripts.client.delete(scripts.keys.lock(job_id))
    for _ in range(2):
        scripts.client.delete(scripts.keys.of("stalled-check"))
        found = letters.run("move_stalled", letters.box.keys_to_add, 0, 1000, "work")
    assert found == [[job_id], [], [], [], []]
    assert not scripts.client.exists(scripts.keys.job(job_id))
    kept = letters.data(f"1:work:{job_id}")
    assert (kept["failedReason"], kept["stalledCounter"], kept["attemptsMade"], kept["stacktrace"]) == (
        "job stalled more than allowable limit",
        1,
        0,
        [],
    )


@pytest.mark.parametrize("data", ["{n: 1}", "NaN", '["\n"]', '"\\ud800"', "0x10"])
def test_what_is_no_json_is_kept_as_text(letters: Letters, scripts: Scripts, data: str) -> None:
    [job_id] = taken(scripts, 0)
    scripts.client.hset(scripts.keys.job(job_id), mapping={"data": data, "opts": "{"})
    letters.fail(job_id)
    kept = letters.data(letters.ids()[0])
    assert (kept["data"], kept["opts"], kept["unreadable"]) == (data, "{", ["data", "opts"])


def test_json_is_kept_to_the_letter(letters: Letters, scripts: Scripts) -> None:
    [job_id] = taken(scripts, 0)
    data = '{"big":123456789012345678901234567890,"none":[],"text":"\\u0000 \\" سلام 😀","n":1.50}'
    scripts.client.hset(scripts.keys.job(job_id), "data", data)
    letters.fail(job_id)
    assert f'"data":{data},' in letters.hash(letters.ids()[0])["data"]


def test_a_paused_queue_of_letters_still_takes_them(letters: Letters, scripts: Scripts) -> None:
    scripts.client.set(letters.box.keys.of("meta-paused"), 1)
    [job_id] = taken(scripts, 0)
    letters.fail(job_id)
    assert (letters.ids("paused"), letters.ids()) == ([f"1:work:{job_id}"], [])


def test_a_letter_is_announced_as_bull_announces_an_added_job(letters: Letters, scripts: Scripts) -> None:
    subscriber = scripts.client.pubsub()
    subscriber.psubscribe(letters.box.keys.of("*"))
    assert subscriber.get_message(timeout=5)
    [job_id] = taken(scripts, 0)
    letters.fail(job_id)
    message = subscriber.get_message(timeout=5)
    assert message is not None
    assert (message["channel"], message["data"]) == (
        letters.box.keys.of("waiting@tester"),
        f"1:work:{job_id}",
    )
    subscriber.close()


@pytest.mark.parametrize("suffix", ["id", "wait"])
def test_a_job_fails_even_if_something_else_is_in_the_letters_place(
    letters: Letters, scripts: Scripts, suffix: str
) -> None:
    scripts.client.sadd(letters.box.keys.of(suffix), "x")
    [job_id] = taken(scripts, 0)
    assert letters.fail(job_id) == 3
    assert scripts.client.zrange(scripts.keys.of("failed"), 0, -1) == [job_id]
    assert not scripts.client.exists(letters.box.keys.job(f"1:work:{job_id}"), scripts.keys.lock(job_id))


def test_a_stalled_job_fails_even_then_and_is_named(letters: Letters, scripts: Scripts) -> None:
    scripts.client.set(letters.box.keys.of("wait"), "x")
    [job_id] = taken(scripts, 0)
    scripts.client.delete(scripts.keys.lock(job_id))
    for _ in range(2):
        scripts.client.delete(scripts.keys.of("stalled-check"))
        found = letters.run("move_stalled", letters.box.keys_to_add, 0, 1000, "work")
    assert found == [[job_id], [], [], [job_id], []]
    assert scripts.client.zrange(scripts.keys.of("failed"), 0, -1) == [job_id]


def test_retrying_a_letter_retries_the_failed_job(letters: Letters, scripts: Scripts) -> None:
    [job_id] = taken(scripts, 2)
    scripts.client.hset(scripts.keys.job(job_id), "stalledCounter", 1)
    letters.fail(job_id)
    assert letters.retry(f"1:work:{job_id}") == 1
    assert scripts.waiting() == [job_id]
    job = scripts.client.hgetall(scripts.keys.job(job_id))
    assert job["attemptsMade"] == "0"
    assert not {"failedReason", "finishedOn", "processedOn", "stalledCounter"} & job.keys()
    assert scripts.client.zscore(scripts.keys.of("priority"), job_id) == 2
    assert not scripts.client.exists(
        letters.box.keys.job(f"1:work:{job_id}"), letters.box.keys.of("wait"), scripts.keys.of("failed")
    )


def test_retrying_a_letter_adds_a_job_that_is_gone(letters: Letters, scripts: Scripts) -> None:
    [job_id] = taken(scripts, 2)
    before = scripts.client.hgetall(scripts.keys.job(job_id))
    letters.fail(job_id, keep=0)
    assert letters.retry(f"1:work:{job_id}", priority=2) == 2
    assert scripts.waiting() == [job_id]
    job = scripts.client.hgetall(scripts.keys.job(job_id))
    assert {name: job[name] for name in ("name", "data", "timestamp", "delay", "priority")} == {
        name: before[name] for name in ("name", "data", "timestamp", "delay", "priority")
    }
    assert json.loads(job["opts"]) == json.loads(before["opts"])
    assert scripts.add(0) != [job_id]


def test_a_number_ahead_of_the_counter_is_stepped_over(letters: Letters, scripts: Scripts) -> None:
    [job_id] = taken(scripts, 0)
    letters.fail(job_id, keep=0)
    scripts.client.delete(scripts.keys.of("id"))
    assert letters.retry(f"1:work:{job_id}") == 2
    scripts.client.delete(scripts.keys.of("id"))
    assert scripts.add(0) == ["2"]


def test_a_refused_retry_changes_nothing(letters: Letters, scripts: Scripts, client: redis.Redis) -> None:
    [job_id] = taken(scripts, 0)
    letters.fail(job_id)
    letter = f"1:work:{job_id}"

    def refused() -> int:
        before = {key: _value(client, key) for key in client.scan_iter(f"{scripts.keys.prefix}:*")}
        code = letters.retry(letter)
        assert {key: _value(client, key) for key in client.scan_iter(f"{scripts.keys.prefix}:*")} == before
        return code

    client.set(letters.box.keys.lock(letter), "w")
    assert refused() == -1
    client.delete(letters.box.keys.lock(letter))
    client.set(scripts.keys.lock(job_id), "w")
    assert refused() == -2
    client.delete(scripts.keys.lock(job_id))
    scripts.run("retry_job", job_id)
    assert refused() == -3
    client.hset(scripts.keys.job(job_id), "timestamp", 1)
    assert refused() == -4


def _value(client: redis.Redis, key: str) -> Any:
    reads = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda name: client.lrange(name, 0, -1),
        "zset": lambda name: client.zrange(name, 0, -1, withscores=True),
    }
    return reads[client.type(key)](key)
