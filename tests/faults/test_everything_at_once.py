"""A frozen server, a blocked event loop and a network that swallows packets, one after the other, under load."""

from __future__ import annotations

from pathlib import Path

from tests.support.everything import everything_at_once


async def test_nothing_is_lost_whatever_befalls_server_worker_and_network(tmp_path: Path) -> None:
    books = await everything_at_once(tmp_path, lock=2.0, interval=1.0, freeze=5.0, block=5.0, quiet=4.0)
    assert books.acknowledged > 500
    assert (books.lost, books.twice, books.failed) == ([], [], 0)
    assert books.extra["frozen server"] == 0, "an outage costs no run"
    assert books.extra["blocked loop"] > 0, "others take the jobs of a worker that does not answer"
    assert books.extra["swallowed packets"] == 0, "the connection was replaced in time"
    assert books.runs == books.acknowledged + sum(books.extra.values())
    assert books.unexplained == []
    assert books.at_once == 0, "two runs of a job at once in one process"
