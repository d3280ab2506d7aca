"""Invoices, reports and files over HTTP: what a firm's people may do, and what nobody else learns."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pypdf import PdfReader
from tests.support.queue_api import open_api
from tests.support.servers import RedisServer
from tests.support.web_people import Office, open_office

from toril.errors import OptionError
from toril.queues.registry import make_worker
from toril.web.files import FileLinks, LinkedFile


@pytest_asyncio.fixture
async def office(
    start_server: Callable[[str], RedisServer], prefix: str, tmp_path: Path, firm_home: Path
) -> AsyncIterator[Office]:
    shutil.copytree(firm_home, tmp_path / "home")
    server_url = start_server("valkey").url
    async with open_api(server_url, prefix, tmp_path / "home") as api, open_office(api) as opened:
        yield opened


async def work(office: Office, queue: str, job_id: str) -> Any:
    """Let a real worker do a job; returns its result."""
    service = office.api.service
    job = await service.queue(queue).get_job(job_id)
    assert job is not None
    async with make_worker(service.definitions[queue], service.queue(queue)):
        return await job.result(60)


def data_of(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()["data"]


def _replace(folder: str | Path, names: str, content: bytes) -> None:
    for stored in Path(folder).rglob(names):
        before = stored.stat()
        stored.write_bytes(content)
        os.utime(stored, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))


def _delete(folder: str | Path, names: str) -> None:
    for stored in Path(folder).rglob(names):
        stored.unlink()


async def test_a_firm_lists_and_reads_its_invoices(office: Office) -> None:
    page = (await office.lawyer.get("/api/invoices?limit=3&offset=1")).json()
    assert (page["success"], page["count"]) == (True, 3)
    assert page["total"] == 31, "the firm's 30, and this run's"
    days = [invoice["issueDate"] for invoice in page["data"]]
    assert days == sorted(days, reverse=True)
    invoice = office.records.invoices[-1]
    whole = data_of(await office.lawyer.get(f"/api/invoices/{invoice.id}"))
    assert whole["number"] == invoice.number
    assert whole["total"] == str(invoice.total), "as text, so that no halala is lost"
    assert len(whole["lines"]) == len(invoice.lines)
    only = (await office.lawyer.get("/api/invoices?status=draft&status=void&limit=200")).json()
    assert {each["status"] for each in only["data"]} == {"draft", "void"}
    assert only["total"] == len(only["data"])


@pytest.mark.parametrize(
    ("query", "priority"),
    [("", 3), ("?download=true", 1), ("?download=true&priority=7", 7), ("?priority=2", 2)],
)
async def test_the_pdf_of_an_invoice_is_queued(office: Office, query: str, priority: int) -> None:
    invoice = office.records.invoices[0]
    response = await office.lawyer.get(f"/api/invoices/{invoice.id}/pdf{query}")
    body = response.json()
    job_id = body["jobId"]
    assert response.status_code == 200
    assert body == {
        "success": True,
        "message": "PDF generation queued successfully",
        "jobId": job_id,
        "queueName": "pdf",
        "note": f"PDF will be available shortly. Check job status at /api/queues/pdf/jobs/{job_id}",
    }
    job = await office.api.service.get_job_status("pdf", job_id)
    assert job is not None
    assert job["options"]["priority"] == priority
    assert job["data"]["data"]["invoiceId"] == invoice.id


async def test_whoever_asked_for_a_pdf_follows_its_job_and_fetches_its_file(office: Office) -> None:
    invoice = office.records.invoices[0]
    job_id = (await office.lawyer.get(f"/api/invoices/{invoice.id}/pdf")).json()["jobId"]
    status, link = f"/api/queues/pdf/jobs/{job_id}", f"/api/files/of-job/pdf/{job_id}"
    assert data_of(await office.lawyer.get(status))["state"] == "waiting"
    assert (await office.lawyer.get(link)).json()["error"]["code"] == "not_ready"
    await work(office, "pdf", job_id)
    assert data_of(await office.lawyer.get(status))["state"] == "completed"
    found = data_of(await office.lawyer.get(link))
    assert found["name"].endswith(".pdf")
    pdf = await office.nobody.get(found["url"])  # whoever has the link
    assert pdf.headers["content-type"] == "application/pdf"
    assert invoice.number in PdfReader(io.BytesIO(pdf.content)).pages[0].extract_text()
    for other in (office.colleague, office.stranger):
        for path in (status, link):
            assert (await other.get(path)).status_code == 403
    for path in (status, link):
        assert (await office.nobody.get(path)).status_code == 401
        assert (await office.root.get(path)).status_code == 200


async def test_a_report_is_saved_as_queued_and_downloaded_when_it_is_ready(office: Office) -> None:
    asked = {"type": "data-export", "exportType": "clients", "format": "csv"}
    response = (await office.lawyer.post("/api/reports/generate", json=asked)).json()
    report_id, job_id = response["reportId"], response["jobId"]
    assert response["data"]["id"] == report_id
    path = f"/api/reports/{report_id}"
    row = data_of(await office.lawyer.get(path))
    assert (row["status"], row["requestedBy"], row["jobId"]) == ("queued", office.lawyer_id, job_id)
    early = await office.lawyer.get(f"{path}/download")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "not_ready")
    await work(office, "report", job_id)
    assert data_of(await office.colleague.get(path))["status"] == "ready"
    got = await office.colleague.get(f"{path}/download")
    rows = list(csv.reader(io.StringIO(got.content.decode("utf-8-sig"))))
    assert len(rows) == 1 + 6, "a head, and the firm's clients"
    listed = (await office.lawyer.get("/api/reports")).json()
    assert [each["id"] for each in listed["data"]] == [report_id]
    assert data_of(await office.lawyer.get(f"/api/queues/report/jobs/{job_id}"))["state"] == "completed"
    [file] = (await office.lawyer.get("/api/files?kind=export")).json()["data"]
    linked = data_of(await office.lawyer.get(f"/api/files/{file['id']}"))
    assert (await office.nobody.get(linked["url"])).content == got.content
    _delete(office.api.web.settings.files_path, "*.csv")
    gone = await office.nobody.get(linked["url"])
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "no_file")


async def test_a_printed_report_is_downloaded_as_a_pdf(office: Office) -> None:
    asked = {"type": "client-aging", "format": "pdf"}
    response = (await office.lawyer.post("/api/reports/generate", json=asked)).json()
    result = await work(office, "report", response["jobId"])
    await work(office, "pdf", result["pdfJobId"])
    got = await office.lawyer.get(f"/api/reports/{response['reportId']}/download?pdf=true")
    assert got.content.startswith(b"%PDF")


async def test_another_firms_records_are_not_there(office: Office) -> None:
    invoice = office.records.invoices[0].id
    report = (await office.lawyer.post("/api/reports/generate", json={"type": "client-aging"})).json()[
        "reportId"
    ]
    await work(office, "report", data_of(await office.lawyer.get(f"/api/reports/{report}"))["jobId"])
    [file] = (await office.lawyer.get("/api/files")).json()["data"]
    before = await office.api.service.get_job_counts("pdf")
    for path in (
        f"/api/invoices/{invoice}",
        f"/api/invoices/{invoice}/pdf",
        f"/api/reports/{report}",
        f"/api/reports/{report}/download",
        f"/api/files/{file['id']}",
    ):
        for whose in ("", f"?firmId={office.firm_id}"):
            refused = await office.stranger.get(path + whose)
            assert refused.status_code == 404, path + whose
            assert office.records.firm.name_en not in refused.text
        assert (await office.nobody.get(path)).status_code == 401
    assert await office.api.service.get_job_counts("pdf") == before
    for path in ("/api/invoices", "/api/reports", "/api/files"):
        assert (await office.stranger.get(path)).json()["total"] == 0


async def test_an_administrator_of_another_firm_gets_none_of_its_files(office: Office) -> None:
    job_id = (await office.lawyer.get(f"/api/invoices/{office.records.invoices[0].id}/pdf")).json()["jobId"]
    await work(office, "pdf", job_id)
    assert (await office.manager.get(f"/api/files/of-job/pdf/{job_id}")).status_code == 404
    assert (await office.manager.get(f"/api/files?firmId={office.firm_id}")).status_code == 404
    assert (await office.root.get(f"/api/files/of-job/pdf/{job_id}")).status_code == 200


async def test_an_administrator_of_no_firm_says_which_one_is_meant(office: Office) -> None:
    needed = await office.root.get("/api/invoices")
    assert (needed.status_code, needed.json()["error"]["code"]) == (400, "firm_needed")
    assert (await office.root.get(f"/api/invoices?firmId={office.firm_id}")).json()["total"] == 31
    assert (await office.root.get("/api/invoices?firmId=nonsense")).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "type"),
        ({"type": "unheard-of"}, "type"),
        ({"type": "financial"}, "startDate"),
        ({"type": "financial", "startDate": "2026-01-01", "endDate": "yesterday"}, "endDate"),
        ({"type": "client-aging", "colour": "red"}, "colour"),
    ],
)
async def test_a_report_that_cannot_be_made_is_refused_at_once(office: Office, body: Any, field: str) -> None:
    response = await office.lawyer.post("/api/reports/generate", json=body)
    assert response.status_code == 400
    assert field in response.text
    assert (await office.lawyer.get("/api/reports")).json()["total"] == 0
    assert (await office.api.service.get_job_counts("report"))["waiting"] == 0


async def test_a_report_is_of_ones_own_firm_whatever_the_body_says(office: Office) -> None:
    for body in ({"firmId": office.firm_id}, {"firm_id": office.firm_id}):
        refused = await office.stranger.post("/api/reports/generate", json={"type": "client-aging", **body})
        assert (refused.status_code, refused.json()["error"]["message"]) == (404, "there is no such firm")
    own = {"type": "client-aging", "firmId": office.other_firm_id}
    for other in ({"firm_id": office.firm_id}, {"reportId": 1}, {"report_id": office.firm_id}):
        answer = await office.stranger.post("/api/reports/generate", json=own | other)
        assert answer.status_code == (200 if "reportId" in other else 400), (
            "one that is saved is not asked for here"
        )
    assert (await office.lawyer.get("/api/reports")).json()["total"] == 0
    response = (await office.stranger.post("/api/reports/generate", json=own)).json()
    job = await office.api.service.get_job_status("report", response["jobId"])
    assert job is not None
    assert job["data"]["data"]["firmId"] == office.other_firm_id


async def test_who_runs_the_installation_says_whose_a_report_is_in_the_query_or_the_body(
    office: Office,
) -> None:
    path, firm = "/api/reports/generate", office.firm_id
    body = {"type": "client-aging"}
    assert (await office.root.post(path, json=body)).json()["error"]["code"] == "firm_needed"
    for query, named in (("", firm), (f"?firmId={firm}", None), (f"?firmId={firm}", firm)):
        answer = await office.root.post(path + query, json={**body, "firmId": named})
        job = await office.api.service.get_job_status("report", answer.json()["jobId"])
        assert (job or {})["data"]["data"]["firmId"] == firm
    two = await office.root.post(f"{path}?firmId={office.other_firm_id}", json={**body, "firmId": firm})
    assert (two.status_code, "two firms" in two.text) == (400, True)
    for nonsense in ("nonsense", "f" * 24, 7, ["a"]):
        assert (await office.root.post(path, json={**body, "firmId": nonsense})).status_code in (400, 404)


@pytest.fixture
def ten_bytes(office: Office) -> LinkedFile:
    folder = office.api.web.settings.files_path / office.firm_id / "exports"  # type: ignore[operator]
    folder.mkdir(parents=True)
    (folder / "تقرير.txt").write_bytes(b"0123456789")
    return LinkedFile(path=str(folder / "تقرير.txt"), name="تقرير.txt")


@pytest.mark.parametrize(
    ("wanted", "status", "content", "said"),
    [
        (None, 200, b"0123456789", None),
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-4", 206, b"6789", "bytes 6-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=3-1", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
    ],
)
async def test_ranges_of_a_file(
    office: Office, ten_bytes: LinkedFile, wanted: str | None, status: int, content: bytes, said: str | None
) -> None:
    url, _ = office.api.web.links.make(ten_bytes)
    got = await office.nobody.get(url, headers={"Range": wanted} if wanted else {})
    assert (got.status_code, got.content, got.headers.get("content-range")) == (status, content, said)
    assert got.headers["accept-ranges"] == "bytes"
    assert "filename*=UTF-8''%D8%AA" in got.headers["content-disposition"]


async def test_a_download_that_broke_off_goes_on_only_with_the_same_file(
    office: Office, ten_bytes: LinkedFile
) -> None:
    url, _ = office.api.web.links.make(ten_bytes)
    tag = (await office.nobody.head(url)).headers["etag"]
    on = await office.nobody.get(url, headers={"Range": "bytes=4-", "If-Range": tag})
    assert (on.status_code, on.content) == (206, b"456789")
    anew = await office.nobody.get(url, headers={"Range": "bytes=4-", "If-Range": '"another"'})
    assert (anew.status_code, anew.content) == (200, b"0123456789")
    assert (await office.nobody.get(url, headers={"If-None-Match": tag})).status_code == 304


async def test_a_link_is_good_until_it_expires_and_only_as_it_was_signed(
    office: Office, ten_bytes: LinkedFile
) -> None:
    now = 1_000_000.0
    files = office.api.web.installation.files
    links = FileLinks(["s" * 40], files, clock=lambda: now)
    url, expires = links.make(ten_bytes, lasts=60)
    token = url.removeprefix("/files/")
    assert (expires, links.read(token)) == (1_000_060, ten_bytes)
    text, _, signature = token.partition(".")
    for forged in ("", ".", text, f"{text}.", f"{text}x.{signature}", f"{text}.{signature[:-1]}x", "ü.ü"):
        assert links.read(forged) is None
        assert (await office.nobody.get(f"/files/{forged or 'x'}")).status_code == 404
    assert FileLinks(["t" * 40], files, clock=lambda: now).read(token) is None
    now = 1_000_060.0
    assert links.read(token) is None


async def test_a_link_never_leads_out_of_the_file_store(office: Office, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    with pytest.raises(OptionError, match="outside of the file store"):
        office.api.web.links.make(LinkedFile(path=str(tmp_path / "secret.txt"), name="x"))


async def test_a_link_leads_to_the_file_that_it_was_made_for_and_no_other(office: Office) -> None:
    asked = {"type": "data-export", "exportType": "clients", "format": "csv"}
    response = (await office.lawyer.post("/api/reports/generate", json=asked)).json()
    await work(office, "report", response["jobId"])
    [file] = (await office.lawyer.get("/api/files?kind=export")).json()["data"]
    url = data_of(await office.lawyer.get(f"/api/files/{file['id']}"))["url"]
    first = await office.nobody.get(url)
    _replace(office.api.web.settings.files_path, "*.csv", b"x" * len(first.content))
    replaced = await office.nobody.get(url)
    assert (replaced.status_code, replaced.json()["error"]["code"]) == (404, "no_file")
    tag = {"If-None-Match": first.headers["etag"]}
    assert (await office.nobody.get(url, headers=tag)).status_code == 404
    anew = data_of(await office.lawyer.get(f"/api/files/{file['id']}"))["url"]
    fresh = await office.nobody.get(anew, headers=tag)
    assert (fresh.status_code, fresh.content) == (200, b"x" * len(first.content))
