"""Data files that are not all there, and homes with odd names: no server may begin as an empty queue over them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toril import Queue
from toril.engine import embedded_binary
from toril.engine.embedded import EmbeddedServer
from toril.engine.embedded_data import repair_advice
from toril.engine.embedded_process import ServerProcess
from toril.errors import ConfigurationError, QueueUnavailableError


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    if home.is_dir() and ServerProcess(home).lives():
        ServerProcess(home).stop()


async def add(home: Path, count: int) -> list[str]:
    async with Queue("kept", home=home, patience=1) as queue:
        return [job.id for job in await queue.add_bulk([("job", {"n": n}) for n in range(count)])]


async def kept(home: Path) -> int:
    async with Queue("kept", home=home, patience=1) as queue:
        return (await queue.counts())["waiting"]


def one_file(home: Path, pattern: str) -> Path:
    (file,) = (home / "data" / "appendonlydir").glob(pattern)
    return file


async def carry_out(command: str) -> None:
    done = await asyncio.to_thread(
        subprocess.run, ["sh", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done


async def test_data_without_its_manifest_is_refused_and_the_advice_brings_it_back(home: Path) -> None:
    await add(home, 5)
    one_file(home, "*.manifest").unlink()
    for _ in range(2):
        with pytest.raises(
            QueueUnavailableError, match=r"manifest is missing .* begin as an empty queue"
        ) as caught:
            await kept(home)
    assert not ServerProcess(home).lives()
    await carry_out(str(caught.value).splitlines()[-1])
    assert await kept(home) == 5


async def test_manifest_is_not_guessed_where_files_of_two_times_lie(home: Path) -> None:
    await add(home, 5)
    one_file(home, "*.manifest").unlink()
    base = one_file(home, "*.base.rdb")
    base.with_name(base.name.replace(".1.", ".2.")).write_bytes(base.read_bytes())
    with pytest.raises(QueueUnavailableError, match="Bring it back from a copy") as caught:
        await kept(home)
    assert "printf" not in str(caught.value)


async def test_first_start_that_was_interrupted_before_its_manifest_is_no_hindrance(home: Path) -> None:
    server = await EmbeddedServer.acquire(home)
    await server.release()
    one_file(home, "*.manifest").unlink()
    one_file(home, "*.incr.aof").unlink()  # it held nothing yet
    assert await add(home, 1) == ["1"]


async def test_missing_increment_is_named_and_what_to_do_works(home: Path) -> None:
    await add(home, 5)
    one_file(home, "*.incr.aof").unlink()
    with pytest.raises(
        QueueUnavailableError, match=r"incr\.aof is missing: bring it back from a copy"
    ) as caught:
        await kept(home)
    await carry_out(str(caught.value).splitlines()[-1])
    assert await kept(home) == 0


async def test_missing_base_is_named_and_nothing_is_left_out(home: Path) -> None:
    await add(home, 5)
    one_file(home, "*.base.rdb").unlink()
    with pytest.raises(
        QueueUnavailableError, match=r"base\.rdb is missing: bring it back from a copy"
    ) as caught:
        await kept(home)
    assert "sed" not in str(caught.value)


async def test_server_that_knows_no_manifest_is_not_started_on_the_data_of_one_that_does(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(home, 5)
    older = tmp_path / "redis-server"
    older.write_text("#!/bin/sh\necho 'Redis server v=6.2.14 sha=0:0 malloc=libc bits=64'\n")
    older.chmod(0o755)
    monkeypatch.setattr(embedded_binary, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(QueueUnavailableError, match=r"is of version 6\.2 and cannot read"):
        await kept(home)


@pytest.fixture
def odd_home(tmp_path: Path) -> Iterator[Path]:
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        home.mkdir(mode=0o700)
    except OSError as error:
        pytest.skip(f"this file system takes only names in Unicode: {error}")
    yield home
    if ServerProcess(home).lives():
        ServerProcess(home).stop()


async def test_home_whose_name_is_not_unicode_keeps_its_jobs(odd_home: Path) -> None:
    assert await add(odd_home, 5)
    server = await EmbeddedServer.acquire(odd_home)
    assert server.url.isascii()
    assert server.url.endswith(f"{server.socket_path}")
    await server.release()
    assert await kept(odd_home) == 5


def in_a_deleted_directory(
    act: Callable[[], object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> object:
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    try:
        return act()
    finally:
        monkeypatch.undo()


def test_home_in_a_working_directory_that_was_deleted_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="set TORIL_HOME to an absolute path"):
        in_a_deleted_directory(lambda: asyncio.run(add(Path(".toril"), 1)), tmp_path / "gone", monkeypatch)


def test_absolute_home_does_not_need_the_working_directory(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_a_deleted_directory(lambda: asyncio.run(add(home, 1)), tmp_path / "gone", monkeypatch) == ["1"]


async def test_data_that_was_read_well_is_not_called_damaged(home: Path) -> None:
    for _ in range(2):
        await add(home, 5)
    log = (home / "server.log").read_text()
    assert "base.rdb" in log  # the second server told what it has read
    # So would say a server that was killed right after it, as by a machine without memory.
    assert repair_advice(home / "data", log) == ""
