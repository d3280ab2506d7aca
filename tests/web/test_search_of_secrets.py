"""What answers do not show is not found either: a search must not tell a one-time code letter by letter."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.cli import Toril
from tests.support.queue_api import open_api
from tests.support.web_people import Office, open_office

from toril.db.ids import new_id
from toril.engine.search import find_jobs
from toril.queues.redaction import redacted

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE, WRONG = "482913", "593024"
LINK = "https://app.firm.example/reset/q7Zt"
TO = "sara@client.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    start_server: Any, tmp_path_factory: pytest.TempPathFactory, firm_home: Path
) -> AsyncIterator[Office]:
    home = tmp_path_factory.mktemp("searched") / "home"
    shutil.copytree(firm_home, home)
    async with open_api(start_server("valkey").url, f"t{new_id()}", home) as api, open_office(api) as opened:
        for name, data in secrets_of(opened.firm_id):
            for _ in range(3):
                await api.service.queue(name).add("__default__", data)
        yield opened


def secrets_of(firm_id: str) -> list[tuple[str, dict[str, Any]]]:
    """A job of each kind that has something to hide."""
    mail = {"to": TO, "firmId": firm_id}
    return [
        (
            "email",
            {"type": "template", "data": {**mail, "templateId": "otp", "templateData": {"code": CODE}}},
        ),
        (
            "email",
            {
                "type": "template",
                "data": {**mail, "templateId": "passwordReset", "templateData": {"resetUrl": LINK}},
            },
        ),
        (
            "email",
            {
                "type": "transactional",
                "data": {**mail, "subject": f"c {CODE}", "html": CODE, "sensitive": True},
            },
        ),
        ("notification", {"type": "sms", "data": {"phoneNumber": "0512345678", "message": f"code {CODE}"}}),
    ]


async def search(client: Any, queue: str, q: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(f"/api/queues/{queue}/jobs/search", params={"q": q, **query})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("who", ["partner", "root"])
@pytest.mark.parametrize("limit", [1, 2, 20])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (CODE, WRONG),
        (CODE[:4], WRONG[:4]),
        (CODE[0:2], WRONG[0:2]),
        (f'"code":"{CODE[:3]}', f'"code":"{WRONG[:3]}'),
        (LINK.upper(), LINK.upper()[::-1]),
        ("/reset/q7z", "/reset/x8y"),
        (f"c {CODE[0]}", f"c {WRONG[0]}"),
    ],
)
async def test_a_right_guess_is_answered_as_a_wrong_one(
    office: Office, who: str, limit: int, right: str, wrong: str
) -> None:
    for queue in ("email", "notification"):
        if (who, queue) == ("partner", "notification"):
            continue  # SMS are of no firm
        told = [await search(getattr(office, who), queue, each, limit=limit) for each in (right, wrong)]
        assert told[0] == told[1] | {"data": []}, (queue, right)
        assert told[0]["cursor"] is None


async def test_what_is_shown_is_found(office: Office) -> None:
    for q in (TO.upper(), "passwordreset", "otp", "sensitive"):
        found = await search(office.partner, "email", q)
        assert found["count"] >= 3, q
        assert CODE not in str(found)
        assert LINK not in str(found)
    found = await search(office.root, "notification", "code ")
    assert found["count"] == 3
    ids, cursor = [], ""
    for _ in range(9):
        page = await search(office.partner, "email", TO, limit=1, cursor=cursor)
        ids += [job["jobId"] for job in page["data"]]
        cursor = page["cursor"] or ""
    assert len(set(ids)) == len(ids) == 9


async def test_a_view_that_cannot_be_written_as_json_is_no_error(office: Office) -> None:
    queue = office.api.service.queue("email")
    data = {
        "type": "template",
        "data": {"templateId": "otp", "templateData": {"code": CODE, "name": "\ud83d x"}},
    }
    text = str(data).replace("'", '"').replace("\ud83d", "\\ud83d")
    job = await queue.add("odd", {})
    await queue.scripts.ask("HSET", queue.keys.job(job.id), "data", text.encode())

    async def found(q: str) -> list[str]:
        jobs = (await find_jobs(queue, q, view=lambda data: redacted("email", data))).jobs
        return [found.id for _, found in jobs if found.id == job.id]

    assert await found("\ud83d X") == [job.id]
    assert await found(CODE) == []
    await job.remove()


async def test_the_command_finds_no_secret(office: Office, tmp_path: Path) -> None:
    settings = office.api.web.settings
    toril = Toril(
        tmp_path,
        {
            "REDIS_URL": str(settings.redis_url),
            "TORIL_PREFIX": settings.prefix,
            "TORIL_HOME": str(tmp_path / "h"),
        },
    )
    hidden, shown = (
        await toril("jobs", "search", "email", CODE[:4], "--json"),
        await toril("jobs", "search", "email", TO, "--json"),
    )
    assert hidden.json["jobs"] == []
    assert len(shown.json["jobs"]) == 9
