"""``toril dead-letters`` and what ``toril queues`` says of them, as processes against a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import Toril
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.dead_letters import DEAD_LETTER
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker


@pytest.fixture
def url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


@pytest.fixture
def toril(tmp_path: Path, url: str, prefix: str) -> Toril:
    return Toril(tmp_path, {"REDIS_URL": url, "TORIL_PREFIX": prefix})


@pytest.fixture
async def email(url: str, prefix: str) -> AsyncIterator[Queue]:
    """A queue of which three jobs have failed for good, one of them not kept."""
    async with Queue("email", url=url, prefix=prefix, dead_letter=DEAD_LETTER) as queue:

        async def process(job: Job[Any]) -> None:
            raise RuntimeError("no \x1b[31mluck")

        async def all_failed() -> bool:
            return await queue.connection.execute("LLEN", f"{prefix}:{DEAD_LETTER}:wait") == 3

        async with Worker(queue, process, concurrency=1):
            for number in (1, 2, 3):
                await queue.add("send", {"n": number}, remove_on_fail=number == 2)
            await until(all_failed, within_s=60)
        yield queue


async def test_letters_are_listed_and_shown(toril: Toril, email: Queue) -> None:
    answer = (await toril("dead-letters", "list", "--end", "1", "--json")).json
    assert answer["total"] == 3
    assert [letter["id"] for letter in answer["letters"]] == ["3:email:3", "2:email:2"]
    listed = await toril("dead-letters", "list")
    assert "1:email:1" in listed.out
    assert "3 of 3 dead letters." in listed.out
    assert "\x1b" not in listed.out
    shown = (await toril("dead-letters", "show", "2:email:2", "--json")).json
    assert (shown["queue"], shown["jobId"], shown["data"]) == ("email", "2", {"n": 2})
    text = (await toril("dead-letters", "show", "2:email:2")).out
    assert "RuntimeError: no" in text
    assert "\x1b" not in text
    missing = await toril("dead-letters", "show", "9:email:9", "--json")
    assert (missing.code, missing.error["code"]) == (4, "job_not_found")


async def test_letters_are_retried(toril: Toril, email: Queue) -> None:
    answer = await toril("dead-letters", "retry", "2:email:2", "9:email:9", "--json")
    assert answer.code == 4
    assert answer.json["retried"] == ["2:email:2"]
    assert [error["id"] for error in answer.json["errors"]] == ["9:email:9"]
    assert [job.id for job in await email.get_waiting()] == ["2"]
    assert (
        await toril("dead-letters", "retry", "--all", "--queue", "other")
    ).out == "0 dead letters retried.\n"
    assert (
        await toril("dead-letters", "retry", "--all", "--queue", "email")
    ).out == "2 dead letters retried.\n"
    assert [job.id for job in await email.get_waiting()] == ["2", "1", "3"]
    assert (await toril("dead-letters", "list")).out == "There are no dead letters in queue 'dead-letter'.\n"


@pytest.mark.parametrize("words", [[], ["1:email:1", "--all"], ["1:email:1", "--queue", "email"]])
async def test_a_retry_says_which_letters(toril: Toril, words: list[str]) -> None:
    answer = await toril("dead-letters", "retry", *words)
    assert answer.code == 2
    assert "say which letters" in answer.err


async def test_letters_are_removed_when_confirmed(toril: Toril, email: Queue) -> None:
    asked = await toril("dead-letters", "remove", "1:email:1")
    assert (asked.code, "--yes" in asked.err) == (2, True)
    assert (await toril("dead-letters", "remove", "1:email:1", "--yes")).out == "1 dead letter removed.\n"
    assert await email.state("1") == "failed"
    again = await toril("dead-letters", "remove", "1:email:1", "--yes", "--json")
    assert (again.code, again.error["code"]) == (4, "job_not_found")
    kept = await toril("dead-letters", "remove", "--older-than", "3600", "--yes", "--json")
    assert kept.json["removed"] == []
    rest = await toril("dead-letters", "remove", "--older-than", "0", "--yes", "--json")
    assert sorted(rest.json["removed"]) == ["2:email:2", "3:email:3"]


async def test_the_letters_queue_is_listed_with_the_others(toril: Toril, email: Queue) -> None:
    rows = {row["name"]: row for row in (await toril("queues", "--json")).json}
    assert rows.keys() == {"email", "dead-letter"}
    assert (rows["dead-letter"]["waiting"], rows["dead-letter"]["failed"]) == (3, 0)
