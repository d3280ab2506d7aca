"""Functions that fork in a child process: each job gets the answer of its own function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.support import child_work
from tests.support.servers import RedisServer

from toril.engine.queue import Queue
from toril.engine.worker import Worker

WITHIN = 60.0


@pytest.fixture
def server_url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


@pytest.mark.parametrize("function", [child_work.fork_and_return, child_work.fork_and_exit])
async def test_a_fork_that_comes_back_from_a_function_answers_for_no_job(
    queue: Queue, function: Callable[[Any], Any]
) -> None:
    queue.process("forks", process=True)(function)
    queue.process("square", process=True)(child_work.square)
    async with Worker(queue, concurrency=1, child_processes=1, stalled_interval=0):
        assert await (await queue.add("forks", {})).result(WITHIN) == "the job's"
        # The same process runs them: an answer too many would be theirs.
        squares = [await (await queue.add("square", {"n": n})).result(WITHIN) for n in range(3)]
    assert squares == [0, 1, 4]
