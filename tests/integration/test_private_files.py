"""What an installation keeps on disk is for its own user, also with a server elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.email_jobs import transactional
from tests.support.pdf_jobs import custom_job
from tests.support.until import until

from toril.installation import open_installation
from toril.queues.registry import make_worker
from toril.settings import Settings


@pytest.fixture
def lenient_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("lenient_umask")
@pytest.mark.parametrize("made_before", [False, True], ids=["new home", "home of everybody"])
async def test_nobody_else_can_read_what_is_kept(
    server_url: str, prefix: str, tmp_path: Path, made_before: bool
) -> None:
    home = tmp_path / "home"
    if made_before:
        home.mkdir(mode=0o755)
    settings = Settings(home=home, redis_url=server_url, prefix=prefix)
    async with open_installation(settings) as opened:
        service = opened.service
        jobs = [
            await service.add_job("email", transactional()),
            await service.add_job("pdf", custom_job("<p>A page</p>")),
        ]
        workers = [make_worker(service.definitions[name], service.queue(name)) for name in ("email", "pdf")]
        async with workers[0], workers[1]:

            async def are_done() -> bool:
                states = [await service.get_job_status(job["queueName"], job["jobId"]) for job in jobs]
                return all(state is not None and state["state"] == "completed" for state in states)

            await until(are_done, within_s=60)
        found = [home, *(path for path in home.rglob("*") if path.name != ".gitignore")]
        kinds = {path.suffix for path in found}
        assert {".db", ".eml", ".pdf"} <= kinds
        for path in found:
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode & 0o077 == 0, f"{path.relative_to(tmp_path)} has the mode {mode:o}"


def test_settings_do_not_show_their_secrets() -> None:
    settings = Settings(
        secret="a secret of tests, long enough for all",
        redis_url="redis://:hidden-password@queue.example:6379/0",
        resend_api_key="re_hidden_key",
    )
    shown = f"{settings!r} {settings} {[settings]}"
    assert "queue.example" in shown
    for hidden in ("a secret of tests", "hidden-password", "re_hidden_key"):
        assert hidden not in shown
