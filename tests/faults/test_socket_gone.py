"""The socket of the embedded server is deleted under its users, as cleaners of temporary folders do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.until import until

from toril import Queue
from toril.engine import embedded
from toril.engine.embedded_process import ServerProcess

WITHIN_S = 90.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    monkeypatch.setattr(embedded, "WATCH_S", 0.1)
    home = tmp_path / request.param
    yield home
    if home.is_dir() and ServerProcess(home).lives():
        ServerProcess(home).stop()


@pytest.mark.parametrize("home", ["home", "h" * 120], indirect=True, ids=["in the home", "elsewhere"])
async def test_a_server_whose_socket_was_deleted_is_found_again_with_its_jobs(home: Path) -> None:
    async with Queue("tasks", home=home) as queue:
        added = [job.id for job in await queue.add_bulk([("n", {})] * 50)]
        socket = home / "server.sock"
        (Path(os.readlink(socket)) if socket.is_symlink() else socket).unlink()

        async def answers() -> bool:
            await queue.counts()  # who has no need of a server starts none
            return ServerProcess(home).ask() is not None

        await until(answers, within_s=WITHIN_S)  # which a new process asks
        added.append((await queue.add("n", {})).id)
        assert [job.id for job in await queue.get_jobs(["waiting"], 0, -1, asc=True)] == added
