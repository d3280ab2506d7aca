"""``toril serve`` as a process: all ready-made queues with nothing configured."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.support.cli import Toril

from toril.engine.queue import Queue


@pytest.fixture
def toril(tmp_path: Path, server_url: str, prefix: str) -> Toril:
    return Toril(
        tmp_path, {"REDIS_URL": server_url, "TORIL_PREFIX": prefix, "TORIL_HOME": str(tmp_path / "home")}
    )


async def test_jobs_of_several_queues_are_worked_until_ctrl_c(
    toril: Toril, server_url: str, prefix: str, tmp_path: Path
) -> None:
    async with (
        Queue("email", url=server_url, prefix=prefix) as email,
        Queue("cleanup", url=server_url, prefix=prefix) as cleanup,
        toril.running("serve") as serving,
    ):
        await serving.line("serving email")
        mail = await email.add(
            {"type": "transactional", "data": {"to": "ada@example.com", "subject": "Hi", "text": "Hello"}}
        )
        sweep = await cleanup.add({"type": "sessions", "data": {}})
        assert (await mail.result(30))["success"] is True
        assert await sweep.result(30) == {
            "success": True,
            "dryRun": False,
            "foundCount": 0,
            "deletedCount": 0,
        }
        assert len(await cleanup.schedules()) == 7
        serving.send(signal.SIGINT)
        assert await serving.end() == 0
    assert len(list((tmp_path / "home/outbox").glob("*.eml"))) == 1
    assert not [line for line in serving.lines if "Traceback" in line]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--concurrency", "email"], "is not QUEUE=N"),
        (["--concurrency", "email=0"], "is not QUEUE=N"),
        (["--only", "emial"], "did you mean 'email'"),
    ],
)
async def test_wrong_options_are_refused(toril: Toril, arguments: list[str], says: str) -> None:
    done = await toril("serve", *arguments)
    assert done.code == 2
    assert says in done.err


async def test_real_mail_needs_a_sender(toril: Toril) -> None:
    done = await toril("serve", SMTP_URL="smtp://localhost:2525")
    assert done.code == 2
    assert "FROM_EMAIL" in done.err
