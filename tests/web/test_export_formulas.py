"""What a job brought, in a file that somebody opens with a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson
import pytest
from tests.support.queue_api import DATA, Api, module_api
from tests.web.endpoints import QUEUE

from toril.cli import job_export
from toril.queues.spreadsheet import harmless

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api

#: What some spreadsheet runs; the last ones begin a cell of their own where semicolons or tabs separate.
FORMULAS = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\u200b=1", "\ufeff=1", "\u202e=1",
    "\x00=1", "＝1", "＋1", "－1", "＠1", "−1", "﹦1", "a;=1+1", "a;@SUM(A1);b", 'a";=1+1;"', "a\n=1",
)  # fmt: skip


def cells(text: str, separator: str) -> list[str]:
    """All cells of a file as a spreadsheet finds them where this character separates."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=separator)
    return [cell for row in rows for cell in row]


def check(text: str, where: str) -> None:
    """Fail if a cell runs, whichever character separates. With another one than ours a cell may hold several of ours
    with their quotes; what begins a cell counts."""
    for cell in cells(text, ","):
        assert harmless(cell) == cell or _is_number(cell), f"{where}: {cell!r} runs"
    for line in text.removeprefix("\ufeff").split("\r\n"):
        assert ";=" not in outside_of_quotes(line), f"{where}: {line!r} begins a cell"
        assert ";@" not in outside_of_quotes(line), f"{where}: {line!r} begins a cell"


def outside_of_quotes(text: str) -> str:
    return "".join(part for place, part in enumerate(text.split('"')) if place % 2 == 0)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


async def failed_with(api: Api, reason: str) -> None:
    """One failed job in the queue, whose reason and progress are this text."""
    queue = api.service.queue(QUEUE)
    await queue.obliterate(force=True)
    await api.service.resume_queue(QUEUE)
    job = await queue.add("__default__", DATA, job_id="a-job")
    await api.fail(job.id)
    for name, value in {"failedReason": reason, "progress": orjson.dumps(reason)}.items():
        await queue.scripts.ask("HSET", queue.keys.job(job.id), name, value)


@pytest.mark.parametrize("reason", FORMULAS, ids=ascii)
async def test_no_cell_of_an_export_runs(queue_api: Api, reason: str) -> None:
    await failed_with(queue_api, reason)
    response = await queue_api.client.get(f"/api/queues/{QUEUE}/jobs/export?status=failed")
    text = response.content.decode("utf-8")
    check(text, "HTTP")
    assert harmless(reason) in cells(text, ","), "all of the text is there, in one cell"


@pytest.mark.parametrize("reason", FORMULAS, ids=ascii)
async def test_no_cell_that_the_command_line_writes_runs(queue_api: Api, reason: str) -> None:
    await failed_with(queue_api, reason)
    written = io.StringIO(newline="")
    written.write("\ufeff")
    number = await job_export._write(queue_api.service.queue(QUEUE), "failed", "csv", written)
    assert number == 1
    check(written.getvalue(), "command line")


async def test_numbers_stay_numbers(queue_api: Api) -> None:
    await failed_with(queue_api, "x")
    response = await queue_api.client.get(f"/api/queues/{QUEUE}/jobs/export?status=failed")
    lines: list[Any] = response.content.decode("utf-8-sig").split("\r\n")
    assert f'"{QUEUE}","failed",0,17' in lines[1], "with no quotes around them"
