"""Append-only files that end in the middle of a command: what is whole is kept, and the rest is told of."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from toril import Queue
from toril.engine.embedded_data import cut_file
from toril.engine.embedded_process import ServerProcess
from toril.errors import QueueUnavailableError


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    if home.is_dir() and ServerProcess(home).lives():
        ServerProcess(home).stop()


async def add_in_two_steps(home: Path) -> None:
    for _ in range(2):
        async with Queue("kept", home=home) as queue:
            await queue.add_bulk([("job", {"n": n}) for n in range(10)])


async def kept(home: Path) -> int:
    async with Queue("kept", home=home, patience=3) as queue:
        return (await queue.counts())["waiting"]


def last_file(home: Path) -> Path:
    return max((home / "data" / "appendonlydir").glob("*.incr.aof"))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [row.getMessage() for row in caplog.records if row.getMessage().startswith("embedded_data_cut")]


@pytest.mark.parametrize("missing", [1, 60])
async def test_what_is_whole_is_kept_and_the_cut_is_said(
    home: Path, caplog: pytest.LogCaptureFixture, missing: int
) -> None:
    caplog.set_level(logging.INFO)
    await add_in_two_steps(home)
    assert told(caplog) == []
    file = last_file(home)
    os.truncate(file, file.stat().st_size - missing)
    assert await kept(home) == 10
    (message,) = told(caplog)
    assert f"{file} ends in the middle of a command" in message
    assert await kept(home) == 10
    assert len(told(caplog)) == 1, "the file is whole again"


async def test_a_file_that_is_cut_off_before_others_is_refused_and_left_as_it_is(home: Path) -> None:
    """Which come of a rewrite that was under way: what they hold builds upon what is missing."""
    await add_in_two_steps(home)
    file = last_file(home)
    number = int(file.name.split(".")[2]) + 1
    later = file.with_name(f"appendonly.aof.{number}.incr.aof")
    later.write_bytes(b"")
    with (file.parent / "appendonly.aof.manifest").open("a") as manifest:
        manifest.write(f"file {later.name} seq {number} type i\n")
    os.truncate(file, size := file.stat().st_size - 60)
    for _ in range(2):
        with pytest.raises(QueueUnavailableError, match=r"is damaged: copy .* away, then cut") as caught:
            await kept(home)
        assert str(file) in str(caught.value).splitlines()[-1]
        assert file.stat().st_size == size
    assert not ServerProcess(home).lives()


def test_only_the_last_words_of_a_log_tell_of_a_cut(tmp_path: Path) -> None:
    words = "# Unexpected end of file reading the append only file appendonly.aof.1.incr.aof. You can: 1) Make a backup"
    folder = tmp_path / "appendonlydir"
    assert cut_file(tmp_path, words) is None, "there is no such file"
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_text(
        "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    )
    assert cut_file(tmp_path, words) == folder / "appendonly.aof.1.incr.aof"
    assert cut_file(tmp_path, f"{words}\n* Server initialized\n* Ready to accept connections") is None
    former = "# Unexpected end of file reading the append only file. You can: 1) Make a backup"
    assert cut_file(tmp_path, former) == tmp_path / "appendonly.aof"
