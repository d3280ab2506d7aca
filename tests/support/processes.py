"""Worker processes for tests: started, listened to, killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def worker_process(
    url: str, prefix: str, queue: str, **options: Any
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of ``work_main`` that is ready; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.work_main",
        url,
        prefix,
        queue,
        json.dumps(options),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        if line != b"ready\n":
            assert process.stderr is not None
            raise RuntimeError((await process.stderr.read()).decode())
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def module_process(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of ``python -m module`` that has said that it is ready; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
