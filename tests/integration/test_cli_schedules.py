"""``toril schedules`` as a process, on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.cli import Toril

from toril.engine.queue import Queue
from toril.engine.repeat import Repeat

KEY = "nightly:::Asia/Riyadh:0 2 * * *"


@pytest.fixture
def toril(tmp_path: Path, server_url: str, prefix: str) -> Toril:
    return Toril(tmp_path, {"REDIS_URL": server_url, "TORIL_PREFIX": prefix})


async def test_a_schedule_is_added_listed_changed_and_removed(toril: Toril) -> None:
    added = await toril(
        "schedules", "add", "reports", "nightly", "--cron", "0 2 * * *", "--data", '{"firm": 7}'
    )
    assert (added.code, added.out.strip()) == (0, KEY)
    await toril("schedules", "add", "poll", "--every", "300")
    rows = (await toril("schedules", "list", "--json")).json
    assert {(row["queue"], row["key"], row["every"]) for row in rows} == {
        ("reports", KEY, None),
        ("poll", "__default__:::300000", 300.0),
    }
    changed = await toril("schedules", "change", "reports", KEY, "--cron", "30 3 * * *")
    assert changed.out.strip() == "nightly:::Asia/Riyadh:30 3 * * *"
    (row,) = (await toril("schedules", "list", "reports", "--json")).json
    assert (row["cron"], row["data"], row["name"]) == ("30 3 * * *", {"firm": 7}, "nightly")
    assert (await toril("schedules", "remove", "reports", row["key"])).code == 0
    assert (await toril("schedules", "list", "reports", "--json")).json == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["add", "q"], 2, "give --cron or --every"),
        (["add", "q", "--cron", "* * * * *", "--every", "5"], 2, "one of them"),
        (["add", "q", "--cron", "61 * * * *"], 2, "61"),
        (["add", "q", "--cron", "* * * * *", "--tz", "Mars/Base"], 2, "Mars/Base"),
        (["remove", "q", "nothing"], 4, "has no schedule 'nothing'"),
        (["list", "q"], 4, "there is no queue 'q'"),
    ],
)
async def test_errors_say_what_is_wrong(toril: Toril, arguments: list[str], code: int, says: str) -> None:
    done = await toril("schedules", *arguments)
    assert done.code == code
    assert says in done.err
    assert "Traceback" not in done.err


async def test_a_changed_schedule_ends_when_it_would_have(toril: Toril) -> None:
    end = 4_102_444_800_000
    async with Queue(
        "reports", url=toril.settings["REDIS_URL"], prefix=toril.settings["TORIL_PREFIX"]
    ) as queue:
        await queue.add("nightly", {}, repeat=Repeat(cron="0 2 * * *", tz="UTC", limit=3, end_date=end))
        (before,) = await queue.schedules()
        changed = await toril("schedules", "change", "reports", before.key, "--cron", "30 3 * * *")
        assert changed.code == 0, changed.err
        (after,) = await queue.schedules()
    assert (after.cron, after.tz) == ("30 3 * * *", "UTC")
    assert (after.limit, after.count, after.end_date) == (3, before.count, end)
