"""A job of the queue ``pdf`` from its data to the stored file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.pdf_jobs import (
    FIRM,
    PlainJob,
    contract_job,
    custom_job,
    invoice_job,
    report_job,
    seller,
    statement_job,
    text_of,
)
from tests.support.servers import RedisServer

from toril.errors import JobFailedError, RetryableError, UnrecoverableError
from toril.queues.pdf import EngineOptions, RenderError, Seller, pdf_queue
from toril.queues.registry import make_worker, open_queue
from toril.queues.storage import LocalFileStore


async def test_a_job_stores_its_file_and_says_where(tmp_path: Path) -> None:
    store = LocalFileStore(tmp_path)
    job = PlainJob(invoice_job())

    result = await pdf_queue(store=store).process(job)

    content = await store.read(result["filePath"])
    assert result == {
        "success": True,
        "invoiceId": "65f1c0a2b3d4e5f60718293a",
        "fileName": "invoice-INV-2025-0042.pdf",
        "filePath": str(tmp_path / FIRM / "pdf" / "invoice-INV-2025-0042.pdf"),
        "size": len(content),
    }
    assert content.startswith(b"%PDF-1.7")
    assert "8,625.00" in text_of(content)
    assert job.progress == [10, 40, 80, 100]


async def test_a_second_run_leaves_the_first_file_alone(tmp_path: Path) -> None:
    store = LocalFileStore(tmp_path)
    queue = pdf_queue(store=store)

    first = await queue.process(PlainJob(invoice_job()))
    before = await store.read(first["filePath"])
    second = await queue.process(PlainJob(invoice_job(notes="")))

    assert second["filePath"] != first["filePath"]
    assert await store.read(first["filePath"]) == before


NAMING: dict[str, Callable[[str], dict[str, Any]]] = {
    "invoice": lambda name: invoice_job(invoiceNumber=name),
    "statement": lambda name: statement_job(statementNumber=name),
    "contract": lambda name: contract_job(contractNumber=name),
    "document": lambda name: custom_job("<p>x", fileName=name),
}


@pytest.mark.parametrize("kind", NAMING)
@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/cron.d/x", "..", "٢٠٢٥/٤٢", "فاتورة ٤٢", "///", "a\\b:c*?", "x\0.html"]
)
async def test_no_name_leads_out_of_the_folder(kind: str, name: str, tmp_path: Path) -> None:
    queue = pdf_queue(store=LocalFileStore(tmp_path), renderer=Blank())

    result = await queue.process(PlainJob(NAMING[kind](name)))

    path = Path(result["filePath"])
    assert path.parent == tmp_path / FIRM / "pdf"
    assert path.suffix == ".pdf"
    assert os.listdir(path.parent) == [path.name] == [result["fileName"]]
    if kind != "document":
        assert path.name.startswith(kind)


class Blank:
    """Makes nothing of anything."""

    async def render(self, html: str, *, title: str, lang: str, options: object = None) -> bytes:
        return b"%PDF-1.7"

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "field", ["invoiceId", "reportId", "reportType", "statementId", "contractId", "firmId"]
)
@pytest.mark.parametrize("value", ["../x", "a/b", "..", "a.b", "a\\b", "\0", "é"])
async def test_no_id_leads_out_of_the_folder(field: str, value: str, tmp_path: Path) -> None:
    jobs = [invoice_job(), report_job(), statement_job(), contract_job(), custom_job("<p>x")]
    for job in jobs:
        if field in job["data"]:
            job["data"][field] = value
            with pytest.raises(UnrecoverableError, match=f"{field}: String should match pattern"):
                await pdf_queue(store=LocalFileStore(tmp_path), renderer=Blank()).process(PlainJob(job))
    assert os.listdir(tmp_path) == []


async def test_a_seller_is_looked_up_by_its_firm(tmp_path: Path) -> None:
    asked: list[str] = []

    async def find(firm_id: str) -> Seller | None:
        asked.append(firm_id)
        return Seller.model_validate(seller(nameEn="Firm of the database"))

    store = LocalFileStore(tmp_path)
    queue = pdf_queue(store=store, find_seller=find)

    found = await queue.process(PlainJob(invoice_job(seller=None)))
    await queue.process(PlainJob(invoice_job()))

    assert asked == [FIRM]
    text = text_of(await store.read(found["filePath"]))
    assert "Firm of the database" in text
    assert "Tax Invoice" in text


async def test_an_invoice_without_a_seller_is_plain_and_says_so(tmp_path: Path) -> None:
    job, store = PlainJob(invoice_job(seller=None)), LocalFileStore(tmp_path)

    result = await pdf_queue(store=store).process(job)

    assert "Tax Invoice" not in text_of(await store.read(result["filePath"]))
    assert job.rows == ["the seller's VAT number is not known: a plain invoice, without a QR code"]


async def test_a_renderer_that_fails_is_tried_again(tmp_path: Path) -> None:
    class Failing:
        async def render(self, html: str, *, title: str, lang: str, options: object = None) -> bytes:
            raise RenderError("out of paper")

        async def close(self) -> None: ...

    queue = pdf_queue(store=LocalFileStore(tmp_path), renderer=Failing())

    with pytest.raises(RetryableError, match="out of paper"):
        await queue.process(PlainJob(invoice_job()))
    assert os.listdir(tmp_path) == []


async def test_a_real_worker_takes_the_job_from_a_real_queue(
    tmp_path: Path, server_url: str, prefix: str
) -> None:
    store = LocalFileStore(tmp_path)
    definition = pdf_queue(store=store)
    async with open_queue(definition, url=server_url, prefix=prefix) as queue:
        good = await queue.add("__default__", invoice_job())
        bad = await queue.add("__default__", invoice_job(totalAmount=1))
        async with make_worker(definition, queue):
            result = await good.result(timeout=60)
            with pytest.raises(JobFailedError, match=r"invoiceData\.totalAmount"):
                await bad.result(timeout=60)

    assert result["fileName"] == "invoice-INV-2025-0042.pdf"
    assert "8,625.00" in text_of(await store.read(result["filePath"]))


async def test_a_hostile_document_costs_its_own_job_only(
    tmp_path: Path, start_server: Callable[[str], RedisServer], prefix: str
) -> None:
    endless = "<svg width=90 height=90>" + "<g opacity=.5>" * 3000 + "<rect width=9 height=9 />"
    definition = pdf_queue(store=LocalFileStore(tmp_path), engines=EngineOptions(timeout=4))
    async with open_queue(definition, url=start_server("valkey").url, prefix=prefix) as queue:
        hostile = await queue.add("__default__", custom_job(endless, fileName="endless"), attempts=1)
        others = [
            await queue.add("__default__", job)
            for job in (
                invoice_job(),
                report_job(),
                statement_job(),
                contract_job(),
                custom_job("<p>x"),
                custom_job("<p>x", firmId="../other"),
            )
        ]
        async with make_worker(definition, queue):
            results = [await job.result(timeout=60) for job in others[:-1]]
            with pytest.raises(JobFailedError, match="firmId"):
                await others[-1].result(timeout=60)
            with pytest.raises(JobFailedError, match="'endless' was not rendered within 4 s and was stopped"):
                await hostile.result(timeout=60)
    await definition.close()

    assert all(result["success"] for result in results)
    assert {Path(result["filePath"]).parent for result in results} == {tmp_path / FIRM / "pdf"}
    assert [list(result) for result in results] == [
        ["success", *facts, "fileName", "filePath", "size"]
        for facts in (["invoiceId"], ["reportId", "reportType"], ["statementId"], ["contractId"], [])
    ]
