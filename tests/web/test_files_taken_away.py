"""What leaves the house is written down: links to files, what is fetched by them, reports, lists of jobs."""

from __future__ import annotations

import base64
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from sqlalchemy import select
from tests.support.queue_api import open_api
from tests.support.servers import RedisServer
from tests.support.web_people import Office, open_office
from tests.web.application_endpoints import a_file, a_job_with_a_file, a_report

from toril.db.models import AuditEntry
from toril.errors import OptionError
from toril.queues.storage import LocalFileStore, open_file_store
from toril.web.files import FileLinks, LinkedFile


@pytest_asyncio.fixture
async def office(
    start_server: Callable[[str], RedisServer], prefix: str, tmp_path: Path, firm_home: Path
) -> AsyncIterator[Office]:
    shutil.copytree(firm_home, tmp_path / "home")
    server_url = start_server("valkey").url
    async with open_api(server_url, prefix, tmp_path / "home") as api, open_office(api) as opened:
        yield opened


async def written_down(office: Office, action: str) -> list[AuditEntry]:
    """The entries of one action, oldest first."""
    async with office.api.web.installation.database.reading() as session:
        found = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.at, AuditEntry.id)
        return list(await session.scalars(found))


def told_by(link: str) -> list[Any]:
    """What anybody reads in a link."""
    text = link.removeprefix("/files/").partition(".")[0]
    told: list[Any] = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return told


async def test_a_link_tells_nobody_where_files_are_kept(office: Office, tmp_path: Path) -> None:
    call = await a_file(office)
    link = (await office.lawyer.get(f"/api/files/{call.values['file_id']}")).json()["data"]["url"]
    place = told_by(link)[0]
    assert str(tmp_path) not in str(told_by(link))
    assert not Path(place).is_absolute()
    assert place.startswith(f"{office.firm_id}/exports/")
    assert (await office.nobody.get(link)).status_code == 200


async def test_a_signed_place_never_leads_out_of_the_store(office: Office, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    links, store = office.api.web.links, LocalFileStore(tmp_path)
    outside = FileLinks(["a secret of tests, long enough for all"], store)
    for path in ("secret.txt", str(tmp_path / "secret.txt")):
        link, _ = outside.make(LinkedFile(path=path, name="x"))
        assert (await office.nobody.get(link)).status_code == 404
    for place in ("../secret.txt", "../../secret.txt", str(tmp_path / "secret.txt"), "a\0b", 7, None, ["a"]):
        text = base64.urlsafe_b64encode(orjson.dumps([place, "x", 9_999_999_999, None])).decode().rstrip("=")
        refused = await office.nobody.get(f"/files/{text}.{links._signer.sign(text)}")
        assert refused.status_code == 404, place
        assert "secret" not in refused.text


async def test_a_link_and_each_fetch_by_it_are_written_down(office: Office) -> None:
    call = await a_file(office)
    file_id = call.values["file_id"]
    link = (await office.lawyer.get(f"/api/files/{file_id}?expiresIn=60")).json()["data"]["url"]
    [made] = await written_down(office, "file.link")
    assert (made.target, made.user_id, made.firm_id) == (file_id, office.lawyer_id, office.firm_id)
    assert made.details == {"name": "clients.csv", "expiresIn": 60, "firmId": office.firm_id}
    assert await written_down(office, "file.fetch") == []
    whole = await office.nobody.get(link)
    part = await office.nobody.get(link, headers={"Range": "bytes=1-3"})
    assert (whole.status_code, part.status_code) == (200, 206)
    first, second = await written_down(office, "file.fetch")
    for entry in (first, second):
        assert (entry.firm_id, entry.user_id) == (office.firm_id, None), "whoever has the link"
        assert entry.details["linkOf"] == office.lawyer_id
        assert entry.target == told_by(link)[0]
        assert entry.address == "127.0.0.1"
    assert (first.details["range"], second.details["range"]) == (None, "bytes 1-3/12")


async def test_what_hands_nothing_over_is_not_written_down(office: Office) -> None:
    call = await a_file(office)
    link = (await office.lawyer.get(f"/api/files/{call.values['file_id']}")).json()["data"]["url"]
    tag = (await office.nobody.head(link)).headers["etag"]
    assert (await office.nobody.get(link, headers={"If-None-Match": tag})).status_code == 304
    assert (await office.nobody.get(link, headers={"Range": "bytes=99-"})).status_code == 416
    assert (await office.nobody.get(f"{link}x")).status_code == 404
    assert (await office.stranger.get(f"/api/files/{call.values['file_id']}")).status_code == 404
    assert await written_down(office, "file.fetch") == []
    assert len(await written_down(office, "file.link")) == 1


async def test_a_link_to_the_file_of_a_job_is_written_down_whatever_the_job_calls_it(office: Office) -> None:
    call = await a_job_with_a_file(office)
    queue, job_id = call.values["queue"], call.values["job_id"]
    opened = office.api.service.queue(queue)
    path = (await office.api.service.get_job_status(queue, job_id) or {})["returnValue"]["filePath"]
    odd = b'{"filePath": %b, "fileName": "\\u0000\\ud800.csv"}' % orjson.dumps(path)
    await opened.scripts.ask("HSET", opened.keys.job(job_id), "returnvalue", odd)
    response = await office.lawyer.get(f"/api/files/of-job/{queue}/{job_id}")
    assert response.status_code == 200, response.text
    assert (await office.nobody.get(response.json()["data"]["url"])).status_code == 200
    [made] = await written_down(office, "file.link")
    assert (made.target, made.details["name"]) == (f"{queue}/{job_id}", "??.csv")


async def test_a_report_is_written_down_when_it_is_asked_for_and_when_it_is_taken_away(
    office: Office,
) -> None:
    body = {"type": "data-export", "exportType": "clients", "format": "csv"}
    assert (await office.lawyer.post("/api/reports/generate", json=body)).status_code < 300
    assert (await office.lawyer.post("/api/reports/generate", json={"type": "x\0"})).status_code == 400
    [asked] = await written_down(office, "report.generate")
    assert (asked.target, asked.user_id) == ("data-export", office.lawyer_id)
    report_id = (await a_report(office)).values["report_id"]
    assert (await office.colleague.get(f"/api/reports/{report_id}/download")).status_code == 200
    assert (await office.stranger.get(f"/api/reports/{report_id}/download")).status_code == 404
    [taken] = await written_down(office, "report.download")
    assert (taken.target, taken.firm_id) == (report_id, office.firm_id)


async def test_a_list_of_jobs_is_written_down_with_who_took_it(office: Office) -> None:
    path = "/api/queues/cleanup/jobs/export"
    assert (await office.partner.get(f"{path}?status=failed&format=json&limit=7")).status_code == 200
    assert (await office.lawyer.get(path)).status_code == 403
    assert (await office.root.get(f"{path}?status=gone")).status_code == 400
    [taken] = await written_down(office, "job.export")
    assert (taken.target, taken.firm_id) == ("cleanup", office.firm_id)
    assert taken.details == {"status": "failed", "format": "json", "limit": 7}


async def test_a_place_in_a_bucket_is_told_without_the_bucket() -> None:
    pytest.importorskip("obstore")
    store = open_file_store("s3://papers/prod", access_key_id="k", secret_access_key="s")
    assert store.place_of("s3://papers/prod/f1/pdf/a.pdf") == "f1/pdf/a.pdf"
    assert store.path_at("f1/pdf/a.pdf") == "s3://papers/prod/f1/pdf/a.pdf"
    for outside in ("s3://papers/other/a.pdf", "s3://papers/prod/../a.pdf", "/etc/passwd"):
        with pytest.raises(OptionError):
            store.place_of(outside)
    with pytest.raises(OptionError):
        store.path_at("../other/a.pdf")
