"""The commands of the page on looking after queues over HTTP run, in the order of the page."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest
from tests.support.queue_api import Api, module_api, served

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "admin-api.md"


async def test_the_commands_of_the_page_run(queue_api: Api, tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("sh") is None:
        pytest.skip("no curl on this machine")
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    async with served(queue_api.app) as address:
        environment = {"PATH": os.environ["PATH"], "TORIL": address, "TOKEN": await queue_api.token()}
        for block in blocks:
            process = await asyncio.create_subprocess_exec(
                "sh", "-eu", "-c", block.replace("\\\n", " "), cwd=tmp_path, env=environment,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            output, errors = await process.communicate()
            assert process.returncode == 0, f"{block}\n{output.decode()}\n{errors.decode()}"
            assert b'"success":false' not in output
    assert (tmp_path / "jobs.csv").read_text(encoding="utf-8-sig").startswith('"jobId","queueName"')
