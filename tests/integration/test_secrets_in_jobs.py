"""One-time codes: in a job only as long as its work needs them, and shown to nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import Toril

from toril.engine.queue import Queue
from toril.errors import RetryableError
from toril.queues.email import Mail, SentMail, email_queue
from toril.queues.registry import make_worker, open_queue

CODE = "482913"
DATA = {
    "type": "template",
    "data": {"to": "a@b.example", "templateId": "otp", "templateData": {"code": CODE, "name": "Sara"}},
}


class Carrier:
    """A provider that fails as often as it is told, and keeps the texts it took."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.texts: list[str] = []

    async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
        if self.failures:
            self.failures -= 1
            raise RetryableError("not now")
        self.texts.append(mail.text)
        return SentMail(message_id="m-1")

    async def close(self) -> None: ...


async def stored(queue: Queue, job_id: str) -> str:
    """All that the server has of a job, its log too."""
    fields = await queue.connection.execute("HGETALL", queue.keys.job(job_id))
    rows, _ = await queue.logs(job_id)
    return str(fields) + str(rows)


@pytest.mark.parametrize("keep", [True, False])
async def test_a_code_outlives_failed_attempts_and_goes_with_the_completion(
    server_url: str, prefix: str, keep: bool
) -> None:
    carrier = Carrier(failures=1)
    definition = email_queue(carrier, from_email="o@mail.example.com")
    async with open_queue(definition, url=server_url, prefix=prefix) as queue:
        options = {"attempts": 2, "backoff": 0, **({} if keep else {"remove_on_complete": True})}
        job = await queue.add("__default__", DATA, **options)
        assert CODE in await stored(queue, job.id)
        async with make_worker(definition, queue):
            await job.result(timeout=30)
        assert CODE in carrier.texts[0]
        left = await stored(queue, job.id)
        assert CODE not in left
        found = await queue.get_job(job.id)
        if not keep:
            assert found is None
            return
        assert found is not None
        assert found.data == json.loads(json.dumps(DATA).replace(CODE, "[redacted]"))
        assert found.opts["attempts"] == 2


async def test_a_job_that_failed_for_good_keeps_its_code_for_a_retry(server_url: str, prefix: str) -> None:
    carrier = Carrier(failures=1)
    definition = email_queue(carrier, from_email="o@mail.example.com")
    async with open_queue(definition, url=server_url, prefix=prefix) as queue:
        job = await queue.add("__default__", DATA, attempts=1)
        async with make_worker(definition, queue):
            with pytest.raises(Exception, match="not now"):
                await job.result(timeout=30)
            failed = await queue.get_job(job.id)
            assert failed is not None
            await failed.retry()
            await failed.result(timeout=30)
        assert CODE in carrier.texts[0]
        assert CODE not in await stored(queue, job.id)


async def test_commands_show_no_code(server_url: str, prefix: str, tmp_path: Path) -> None:
    toril = Toril(
        tmp_path, {"REDIS_URL": server_url, "TORIL_PREFIX": prefix, "TORIL_HOME": str(tmp_path / "h")}
    )
    async with Queue("email", url=server_url, prefix=prefix) as queue:
        job: Any = await queue.add("__default__", DATA)
        shown = [
            await toril("jobs", "list", "email", "--json"),
            await toril("jobs", "list", "email"),
            await toril("jobs", "show", "email", job.id),
            await toril("jobs", "search", "email", "Sara", "--json"),
            await toril("jobs", "export", "email", "--state", "waiting"),
        ]
    for each in shown:
        assert each.code == 0, each.err
        assert "Sara" in each.out
        assert "[redacted]" in each.out
        assert CODE not in each.out + each.err
