"""The API while the queue server neither answers nor hangs up."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.support.queue_api import DATA, Api, open_api
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.web.context import ANSWER_WITHIN

#: Requests at once.
MANY = 64


async def _ask(api: Api, number: int) -> tuple[int, str, float]:
    path = ("/api/queues/cleanup/jobs", "/api/queues/pdf/counts", "/api/queues")[number % 3]
    began = time.monotonic()
    if number % 4:
        response = await api.client.get(path)
    else:
        response = await api.client.post("/api/queues/cleanup/jobs", json={"data": DATA})
    return response.status_code, response.headers.get("retry-after", ""), time.monotonic() - began


async def _all_succeed(api: Api) -> None:
    answers = await asyncio.gather(*(_ask(api, number) for number in range(MANY)))
    assert {status for status, _, _ in answers} == {200, 201}


async def test_a_frozen_server_is_a_503_soon_and_then_at_once(tmp_path: Path) -> None:
    async with RedisServer("valkey", tcp=True) as server, open_api(server.url, "frozen", tmp_path) as api:
        await _all_succeed(api)
        server.freeze()
        try:
            first = await asyncio.gather(*(_ask(api, n) for n in range(MANY)))
            assert all(status == 503 and wait for status, wait, _ in first)
            assert max(took for _, _, took in first) < ANSWER_WITHIN + 20
            then = await asyncio.gather(*(_ask(api, n) for n in range(MANY)))
            assert all(status == 503 and wait for status, wait, _ in then)
            assert (
                sorted(took for _, _, took in then)[MANY // 2] < ANSWER_WITHIN
            )  # one of them may have tried to connect
        finally:
            server.thaw()

        async def is_back() -> bool:
            return (await api.client.get("/api/queues")).status_code == 200

        await until(is_back, within_s=60)
        await _all_succeed(api)
