"""``toril serve`` with settings of documents: a bucket for files, a browser for PDF files."""

from __future__ import annotations

from email import message_from_bytes, policy
from pathlib import Path

import pytest
from tests.support.cli import Toril
from tests.support.pdf_jobs import chromium, custom_job, invoice_job, responder, text_of
from tests.support.records import add_firm
from tests.support.s3_server import KEY_ID, SECRET, S3Server, s3_server

from toril.db.session import Database
from toril.engine.queue import Queue
from toril.errors import JobFailedError
from toril.queues.storage import LocalFileStore


@pytest.fixture
def toril(tmp_path: Path, server_url: str, prefix: str) -> Toril:
    return Toril(
        tmp_path, {"REDIS_URL": server_url, "TORIL_PREFIX": prefix, "TORIL_HOME": str(tmp_path / "home")}
    )


async def test_files_go_into_the_bucket_and_into_mail(
    toril: Toril, server_url: str, prefix: str, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    async with Database(home=tmp_path / "home") as database:
        await database.upgrade()
        async with database.session() as session:
            firm = (await add_firm(session)).id
    invoice = invoice_job()
    invoice["data"]["firmId"] = firm
    async with s3_server() as server:
        settings = in_bucket(server)
        async with (
            Queue("pdf", url=server_url, prefix=prefix) as pdf,
            Queue("email", url=server_url, prefix=prefix) as email,
            toril.running("serve", "--only", "pdf", "--only", "email", **settings) as serving,
        ):
            await serving.line("serving ")
            made = await (await pdf.add("__default__", invoice)).result(60)
            file = {"filename": "فاتورة.pdf", "path": made["filePath"]}
            mail = {
                "to": "ada@example.com",
                "subject": "Hi",
                "text": "Hello",
                "attachments": [file],
                "firmId": firm,
            }
            await (await email.add("__default__", {"type": "transactional", "data": mail})).result(60)
    path = f"papers/prod/{firm}/pdf/invoice-INV-2025-0042.pdf"
    assert made["filePath"] == f"s3://{path}"
    assert "8,625.00" in text_of(server.objects[f"/{path}"])
    assert not (tmp_path / "home/files").exists()
    assert attachment(tmp_path / "home/outbox") == server.objects[f"/{path}"]


def in_bucket(server: S3Server) -> dict[str, str]:
    return {
        "TORIL_FILES": "s3://papers/prod",
        "TORIL_S3_ENDPOINT": server.url,
        "TORIL_S3_ACCESS_KEY_ID": KEY_ID,
        "TORIL_S3_SECRET_ACCESS_KEY": SECRET,
    }


def attachment(outbox: Path) -> bytes:
    """The file in the only mail of an outbox."""
    (path,) = outbox.glob("*.eml")
    (part,) = message_from_bytes(path.read_bytes(), policy=policy.default).iter_attachments()
    return part.get_content()


async def test_html_takes_a_picture_from_an_allowed_origin_by_the_browser_that_is_set(
    toril: Toril, server_url: str, prefix: str, tmp_path: Path
) -> None:
    browser = tmp_path / "browser"
    browser.symlink_to(chromium())
    async with responder() as allowed, responder() as other:
        settings = {
            "TORIL_PDF_RENDERER": "chromium",
            "TORIL_CHROMIUM": str(browser),
            "TORIL_PDF_ALLOW": allowed.url,
        }
        html = f"<img src={allowed.url}/a.png><img src={other.url}/a.png><p>text"
        async with (
            Queue("pdf", url=server_url, prefix=prefix) as queue,
            toril.running("serve", "--only", "pdf", **settings) as serving,
        ):
            await serving.line("serving ")
            made = await (await queue.add("__default__", custom_job(html))).result(60)
        assert b"Skia" in await LocalFileStore(tmp_path / "home/files").read(made["filePath"])
        assert (allowed.asked, other.asked) == (["/a.png"], [])


async def test_a_browser_that_is_not_there_is_told_at_the_start(toril: Toril) -> None:
    done = await toril("serve", TORIL_PDF_RENDERER="chromium", TORIL_CHROMIUM="/nobody/here")
    assert done.code == 2
    assert "/nobody/here" in done.err


async def test_a_job_that_asks_for_a_browser_that_is_not_there_fails_alone(
    toril: Toril, server_url: str, prefix: str
) -> None:
    async with (
        Queue("pdf", url=server_url, prefix=prefix) as queue,
        toril.running("serve", "--only", "pdf", TORIL_CHROMIUM="/nobody/here") as serving,
    ):
        await serving.line("serving ")
        bad = await queue.add("__default__", invoice_job(options={"renderer": "chromium"}))
        good = await queue.add("__default__", invoice_job())
        assert (await good.result(60))["success"] is True
        with pytest.raises(JobFailedError, match="/nobody/here"):
            await bad.result(60)


async def test_a_firm_of_the_database_stands_on_its_invoice(
    toril: Toril, server_url: str, prefix: str, tmp_path: Path
) -> None:
    async with Database(home=tmp_path / "home") as database:
        await database.upgrade()
        async with database.session() as session:
            firm = await add_firm(session, vat_number="399999999900003")
    job = invoice_job(seller=None)
    job["data"]["firmId"] = firm.id
    async with (
        Queue("pdf", url=server_url, prefix=prefix) as queue,
        toril.running("serve", "--only", "pdf") as serving,
    ):
        await serving.line("serving ")
        made = await (await queue.add("__default__", job)).result(60)
    text = text_of(await LocalFileStore(tmp_path / "home/files").read(made["filePath"]))
    assert "Al Mizan Law Firm" in text
    assert "Tax Invoice" in text
    assert Path(made["filePath"]).parent == tmp_path / "home/files" / firm.id / "pdf"


async def test_the_doctor_looks_for_bucket_and_browser(toril: Toril, tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    pytest.importorskip("playwright")
    browser = tmp_path / "browser"
    browser.symlink_to(chromium())

    async with s3_server() as server:
        good = await toril("doctor", "--json", TORIL_CHROMIUM=str(browser), **in_bucket(server))
    bad = await toril("doctor", "--json", TORIL_PDF_RENDERER="chromium", TORIL_CHROMIUM=str(tmp_path))

    findings = {finding["about"]: finding for finding in good.json["findings"]}
    assert (findings["TORIL_FILES"]["level"], findings["chromium"]["text"]) == ("ok", str(browser))
    assert findings["TORIL_FILES"]["text"] == "files go to s3://papers/prod"
    (finding,) = [finding for finding in bad.json["findings"] if finding["about"] == "chromium"]
    assert finding["level"] == "wrong"
    assert "is not an executable" in finding["text"]
    assert bad.code == 1
