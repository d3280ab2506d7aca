"""``toril demo`` as a process: every type of job does its work, and nobody else's queues are touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pypdf import PdfReader
from tests.support.cli import Toril

from toril.engine.queue import Queue
from toril.installation import open_installation
from toril.settings import Settings


@pytest.fixture
def toril(tmp_path: Path) -> Toril:
    return Toril(tmp_path, {"TORIL_HOME": str(tmp_path / "home")})


async def all_types(tmp_path: Path) -> list[str]:
    async with open_installation(Settings(home=tmp_path / "other")) as installation:
        definitions = installation.service.definitions
        return [f"{name} {type}" for name, definition in definitions.items() for type in definition.types]


@pytest.mark.timeout(180)
async def test_a_job_of_every_type_is_done_and_has_its_row(toril: Toril, tmp_path: Path) -> None:
    done = await toril("demo", "--invoices", "4")
    assert done.code == 0, done.out + done.err
    rows = {
        " ".join(line.split()[:2]): line.split()[2:4]
        for line in done.out.splitlines()
        if line.startswith(" ")
    }
    types = await all_types(tmp_path)
    assert len(types) >= 34
    for type in types:
        completed, failed = rows[type]
        assert int(completed) >= 1, type
        assert failed == "0", type
    assert rows["pdf invoice"] == rows["email transactional"] == ["4", "0"]
    assert "…" not in done.out, "a pipe has no edge at which a file's name would be cut"

    [pdf] = (tmp_path / "home/files").glob("*/pdf/invoice-*-0200*.pdf")
    assert "INV-" in PdfReader(pdf).pages[0].extract_text()
    assert len(list((tmp_path / "home/files").glob("*/pdf/*.pdf"))) == 4 + 5
    assert len(list((tmp_path / "home/files").glob("*/exports/*.xlsx"))) == 1
    mails = list((tmp_path / "home/outbox").glob("*.eml"))
    assert len(mails) == 4 + 7 + 2, "each invoice's, seven of the bulk, template and campaign"


@pytest.mark.timeout(180)
async def test_queues_and_records_that_are_in_use_are_left_alone(
    toril: Toril, server_url: str, tmp_path: Path
) -> None:
    url = server_url
    async with Queue("email", url=url, prefix="in-use") as queue:
        mail = {"type": "transactional", "data": {"to": "a@b.example", "subject": "Real", "text": "Real"}}
        job = await queue.add(mail)
        done = await toril("demo", "--invoices", "1", REDIS_URL=url, TORIL_PREFIX="in-use")
        assert done.code == 0, done.out + done.err
        assert await job.state() == "waiting"
        assert (await queue.counts())["waiting"] == 1
    assert not (tmp_path / "home/toril.db").exists()
    assert (tmp_path / "home/demo/toril.db").exists()


async def test_a_job_that_cannot_be_done_is_counted_explained_and_exits_with_1(
    toril: Toril, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/outbox").write_text("a file where the folder of mails should be")
    done = await toril("demo", "--invoices", "1")
    assert done.code == 1
    assert "email transactional" in done.out
    assert "outbox" in done.out


@pytest.mark.timeout(180)
async def test_what_came_out_is_json_for_a_script(toril: Toril) -> None:
    done = await toril("demo", "--invoices", "1", "--json")
    assert done.code == 0, done.out + done.err
    rows = {f"{row['queue']} {row['type']}": row for row in json.loads(done.out)}
    assert rows["pdf invoice"]["completed"] == 1
    assert {row["failed"] for row in rows.values()} == {0}
