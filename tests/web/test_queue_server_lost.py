"""The queue endpoints while the server is away: refused at once, and back by themselves."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.queue_api import DATA, open_api
from tests.support.servers import RedisServer
from tests.support.until import until

CALLS = (
    ("GET", "/api/queues", None),
    ("GET", "/api/queues/cleanup/jobs", None),
    ("GET", "/api/queues/cleanup/jobs/41", None),
    ("GET", "/api/queues/cleanup/jobs/export", None),
    ("GET", "/api/queues/cleanup/events", None),
    ("GET", "/api/queues/dead-letters", None),
    ("POST", "/api/queues/cleanup/jobs", {"data": DATA}),
    ("POST", "/api/queues/cleanup/pause", None),
)


async def test_a_lost_server_is_a_503_at_once_until_it_is_back(tmp_path: Path) -> None:
    async with (
        RedisServer("valkey", ["--appendonly", "yes"], tcp=True) as server,
        open_api(server.url, "lost", tmp_path) as api,
    ):
        (job_id,) = await api.add()
        await api.call("GET", "/api/queues/dead-letters")
        server.kill()
        for method, path, body in CALLS:
            began = time.monotonic()
            response = await api.client.request(method, path, json=body)
            took = time.monotonic() - began
            assert response.status_code == 503, (path, response.text)
            assert int(response.headers["retry-after"]) >= 1
            assert response.json()["error"]["code"] == "queue_unavailable"
            assert took < 8, path  # a queue waits 10 s unless told otherwise
        server.start()

        async def is_back() -> bool:
            return (await api.client.get("/api/queues")).status_code == 200

        await until(is_back, within_s=60)
        assert (await api.call("GET", f"/api/queues/cleanup/jobs/{job_id}"))["data"]["jobId"] == job_id
        await api.call("POST", "/api/queues/cleanup/jobs", json={"data": DATA})
