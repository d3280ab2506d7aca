"""A disk that fills up under the embedded server: a real one of 2 MB, in a mount namespace of its own."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from toril import Queue
from toril.engine import embedded_disk

# 200 coroutines add until the disk is full. Then the server's last user leaves, or the server is killed; the disk
# is enlarged, and the jobs are counted, by the server and by its successor.
FILL = """
import asyncio, json, os, signal, subprocess, sys
from pathlib import Path
from toril import Queue
from toril.engine import embedded_process
from toril.engine.embedded_process import ServerProcess
from toril.errors import QueueUnavailableError

home = Path(sys.argv[1])
acknowledged, refusals = [], []

def a_queue(patience):
    return Queue("full", home=home, patience=patience)

async def fill(queue):
    while True:
        try:
            acknowledged.append((await queue.add("fill", {"text": "x" * 1500})).id)
        except QueueUnavailableError as error:
            refusals.append(str(error))
            return

async def waiting(queue):
    return [job.id for job in await queue.get_jobs(["waiting"], 0, -1)]

def cannot_write():
    return "aof_last_write_status:err" in (embedded_process._command(home / "server.sock", "INFO persistence") or "")

async def enlarge_once_it_is_full():
    while not cannot_write():
        await asyncio.sleep(0.05)
    subprocess.run(["mount", "-o", "remount,size=64m", home.parent], check=True)

async def main():
    if sys.argv[2] == "enlarged":
        async with a_queue(40) as queue:
            async def ten():
                for _ in range(10):
                    acknowledged.append((await queue.add("fill", {"text": "x" * 1500})).id)
            await asyncio.gather(enlarge_once_it_is_full(), *(ten() for _ in range(200)))
            print(json.dumps({"acknowledged": acknowledged, "count": await waiting(queue)}))
        return
    queue = a_queue(1.5)
    await asyncio.gather(*(fill(queue) for _ in range(200)))
    filled = len(acknowledged)
    pid = ServerProcess(home).ask().pid
    if sys.argv[2] == "killed":
        os.kill(pid, signal.SIGKILL)
        while ServerProcess(home).lives():
            await asyncio.sleep(0.01)
    await queue.close()
    stays = ServerProcess(home).lives()
    subprocess.run(["mount", "-o", "remount,size=64m", home.parent], check=True)
    counts = []
    for _ in range(2):
        queue = a_queue(20)
        acknowledged.append((await queue.add("after", {})).id)
        counts.append(await waiting(queue))
        await queue.close()
    print(json.dumps({
        "filled": filled, "acknowledged": acknowledged, "counts": counts, "refusals": refusals, "stays": stays,
        "ended": not ServerProcess(home).lives(),
    }))

asyncio.run(main())
"""


@functools.cache
def namespace_refusal() -> str:
    """Why this machine lets us mount nothing; empty if it does."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return "mounting a small disk needs Linux and unshare"
    tried = subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return (
        ""
        if tried.returncode == 0
        else f"this machine lets nobody mount a small disk: {tried.stderr.strip()}"
    )


def on_a_small_disk(folder: Path, script: str, *arguments: str) -> dict[str, Any]:
    """What ``script`` prints, which gets a home on a disk of 2 MB; both are gone when all in it have ended."""
    if refusal := namespace_refusal():
        pytest.skip(refusal)
    folder.mkdir()
    mount = f'mount -t tmpfs -o size=2m,mode=700 none "{folder}" && exec "$@"'
    done = subprocess.run(
        [
            "unshare",
            "-rm",
            "sh",
            "-c",
            mount,
            "sh",
            sys.executable,
            "-c",
            script,
            f"{folder}/home",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "stderr": done.stderr}


@pytest.mark.parametrize("meanwhile", ["left", "killed"])
def test_every_add_that_a_full_disk_let_through_is_there_once(tmp_path: Path, meanwhile: str) -> None:
    found = on_a_small_disk(tmp_path / "disk", FILL, meanwhile)
    acknowledged = found["acknowledged"]
    assert found["filled"] > 300  # there was room for so many
    assert len(found["refusals"]) == 200
    assert len(set(acknowledged)) == len(acknowledged)  # no id was given out twice
    for count in found["counts"]:
        assert len(set(count)) == len(count)
        assert set(acknowledged[:-1]) <= set(count)
    assert found["stays"] is (meanwhile == "left")
    assert found["ended"]
    told = found["stderr"].split()
    assert "embedded_disk_full:" in told
    assert ("embedded_server_not_stopped" in told) is (meanwhile == "left")


def test_adds_wait_for_a_full_disk_to_be_enlarged_and_are_carried_out_once(tmp_path: Path) -> None:
    found = on_a_small_disk(tmp_path / "disk", FILL, "enlarged")
    assert len(found["acknowledged"]) == 2000
    assert sorted(found["acknowledged"]) == sorted(found["count"])


@pytest.mark.parametrize(("low_bytes", "questions"), [(0, 0), (1 << 62, 20)])
async def test_only_a_nearly_full_disk_costs_a_question_for_each_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, low_bytes: int, questions: int
) -> None:
    monkeypatch.setattr(embedded_disk, "LOW_BYTES", low_bytes)
    async with Queue("roomy", home=tmp_path / "home") as queue:

        async def asked() -> int:
            stats = (await queue.connection.execute("INFO", "commandstats")).decode()
            found = re.search(r"cmdstat_info:calls=(\d+)", stats)
            return int(found[1]) if found else 0

        await queue.add("first", {})
        before = await asked()
        for _ in range(20):
            await queue.add("next", {})
        more = await asked() - before - 1  # our own question
        assert more == 0 if questions == 0 else more >= questions
