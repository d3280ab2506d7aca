"""Paths that end in a slash mean what they mean without; a slash that belongs to an id stays."""

from __future__ import annotations

import pytest
from tests.support.queue_api import DATA, Api, module_api

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api


@pytest.mark.parametrize("path", ["/api/queues", "/api/queues/cleanup/counts", "/api/queues/cleanup/jobs"])
async def test_a_slash_at_the_end_changes_nothing(queue_api: Api, path: str) -> None:
    assert await queue_api.call("GET", f"{path}/") == await queue_api.call("GET", path)


async def test_a_body_reaches_a_path_with_a_slash_at_its_end(queue_api: Api) -> None:
    added = await queue_api.client.post("/api/queues/cleanup/jobs/", json={"data": DATA})
    assert added.status_code == 201


async def test_an_encoded_slash_at_the_end_belongs_to_the_id(queue_api: Api) -> None:
    await queue_api.service.add_job("cleanup", DATA, {"jobId": "a/"})
    path = "/api/queues/cleanup/jobs/a%2F"
    for asked in (path, f"{path}/"):
        assert (await queue_api.call("GET", asked))["data"]["jobId"] == "a/"
    assert (await queue_api.client.get("/api/queues/cleanup/jobs/a")).status_code == 404


@pytest.mark.parametrize("path", ["/api/", "/api//", "/", "/api/queues//", "/health/live/"])
async def test_nothing_is_found_where_nothing_is(queue_api: Api, path: str) -> None:
    assert (await queue_api.client.get(path)).status_code == 404
