"""What a Node back office sends, by axios and by fetch, and the shape of what it must get back."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.queue_api import open_api, served
from tests.support.recorded_shapes import differences
from tests.support.web_people import Office, open_office

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")

RECORDED = json.loads((Path(__file__).parent / "recorded/node_client.json").read_text(encoding="utf-8"))
SENDER = Path(__file__).parents[1] / "support/recorded_send.mjs"


@pytest_asyncio.fixture
async def office(start_server: Any, firm_home: Path, tmp_path: Path, prefix: str) -> AsyncIterator[Office]:
    shutil.copytree(firm_home, tmp_path / "home")
    server_url = start_server("valkey").url
    async with open_api(server_url, prefix, tmp_path / "home") as api, open_office(api) as opened:
        yield opened


async def sent_by_node(base: str, office: Office, variables: dict[str, str]) -> list[dict[str, Any]]:
    """The answers to all that was recorded, sent by Node one after the other."""
    people = {"root": office.root, "lawyer": office.lawyer, "stranger": office.stranger}
    asked = {
        "base": base,
        "variables": variables,
        "tokens": {
            name: who.headers["authorization"].removeprefix("Bearer ") for name, who in people.items()
        },
        "requests": [each["request"] for each in RECORDED],
    }
    node = await asyncio.create_subprocess_exec(
        "node", str(SENDER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, errors = await asyncio.wait_for(node.communicate(json.dumps(asked).encode()), 60)
    finally:
        if node.returncode is None:
            node.kill()
    assert node.returncode == 0, errors.decode()
    answers: list[dict[str, Any]] = json.loads(out)
    return answers


async def test_a_node_client_gets_what_it_expects(office: Office) -> None:
    (failed,) = await office.api.add()
    await office.api.fail(failed)
    held = (await office.api.add())[0]
    service = office.api.service
    queue = service.queue("cleanup")
    await queue.scripts.ask("LREM", queue.keys.of("wait"), 0, held)
    await queue.scripts.ask("LPUSH", queue.keys.of("active"), held)
    await queue.scripts.ask("SET", queue.keys.lock(held), "a worker", "PX", 60_000)
    variables = {"failed": failed, "held": held, "invoice": office.records.invoices[0].id}
    async with served(office.api.app) as base:
        answers = await sent_by_node(base, office, variables)
    wrong = []
    for recorded, answer in zip(RECORDED, answers, strict=True):
        expected = recorded["answer"]
        found = differences(json.loads(answer["body"]), expected["shape"])
        if answer["status"] != expected["status"]:
            found.append(f"status {answer['status']} is not {expected['status']}")
        if answer["headers"].get("cache-control") != "no-store":
            found.append("it may be kept by caches")
        wrong += [f"{recorded['name']}: {each}" for each in found]
    assert not wrong, "\n".join(wrong)
    jobs = await service.get_jobs("pdf", "waiting")
    priorities = [job["options"].get("priority") for job in jobs if job["data"]["type"] == "invoice"]
    assert sorted(priorities) == [1, 5], "1 for a download, else as asked"


@pytest.mark.parametrize(
    ("value", "shape", "found"),
    [
        ({"a": 1}, {"a": "integer"}, 0),
        ({"a": True}, {"a": "integer"}, 1),
        ({}, {"a": "integer"}, 1),
        ({}, {"a?": "integer"}, 0),
        ({"a": 1, "b": 2}, {"a": "integer"}, 1),
        ([1, "x"], ["integer"], 1),
        ([], ["integer"], 1),
        ([1], [], 1),
        (None, "string | null", 0),
        ("pdf-1", {"~": "pdf-\\d"}, 0),
        ("pdf-x", {"~": "pdf-\\d"}, 1),
        ([1], {"=": [1]}, 0),
        (2, {"=": 1}, 1),
    ],
)
def test_shapes_are_told_apart(value: Any, shape: Any, found: int) -> None:
    assert len(differences(value, shape)) == found
