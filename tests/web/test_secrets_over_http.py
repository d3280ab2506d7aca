"""One-time codes: no answer of the API shows one."""

from __future__ import annotations

import pytest
from tests.support.web_people import Office
from tests.web.test_application_endpoints import office  # noqa: F401 - a fixture

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = "482913"
DATA = {
    "type": "template",
    "data": {"to": "a@b.example", "templateId": "otp", "templateData": {"code": CODE, "name": "Hidden Sara"}},
}


async def test_no_answer_shows_a_code(office: Office) -> None:  # noqa: F811
    root = office.root
    added = await root.post("/api/queues/email/jobs", json={"data": DATA, "options": {"delay": 3_600_000}})
    job_id = added.json()["data"]["jobId"]
    planned = await root.post(
        "/api/queues/email/schedules", json={"data": DATA, "options": {"repeat": {"cron": "0 4 * * *"}}}
    )
    answers = [
        added,
        await root.get(f"/api/queues/email/jobs/{job_id}"),
        await root.get("/api/queues/email/jobs?status=delayed"),
        await root.get("/api/queues/email/jobs/export?status=delayed&format=csv"),
        await root.get("/api/queues/email/jobs/search?q=Hidden"),
    ]
    for answer in answers:
        assert answer.status_code in (200, 201), answer.text
        assert "Hidden Sara" in answer.text
        assert "[redacted]" in answer.text
        assert CODE not in answer.text
    schedules = await root.get("/api/queues/email/schedules")
    assert CODE not in planned.text + schedules.text
    shown = answers[1].json()["data"]["data"]
    put_back = await root.put(f"/api/queues/email/jobs/{job_id}/data", json={"data": shown})
    assert put_back.status_code == 400
    assert "shown instead" in put_back.text
