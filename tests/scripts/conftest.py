"""Single scripts on a queue of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from tests.support.script_runs import Scripts, new_scripts


@pytest.fixture
def client(server_url: str) -> Iterator[redis.Redis]:
    """A plain client that decodes answers."""
    with redis.Redis.from_url(server_url, decode_responses=True) as opened:
        yield opened


@pytest.fixture
def scripts(client: redis.Redis) -> Scripts:
    """The scripts, run on keys of this test's own."""
    return new_scripts(client)
