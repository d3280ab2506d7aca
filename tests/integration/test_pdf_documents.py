"""Documents of every type through the queue's processor, by both renderers, read back from their files."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from pypdf import PdfReader
from tests.support.pdf_jobs import (
    FIRM,
    PlainJob,
    check_pdf,
    chromium,
    contract_job,
    custom_job,
    fonts_of,
    invoice_job,
    pages_of,
    report_job,
    seller,
    statement_job,
    text_of,
)

from toril.errors import NotConfiguredError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.pdf import EngineOptions, Seller, pdf_queue
from toril.queues.storage import LocalFileStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOBS = {"invoice": invoice_job, "report": report_job, "statement": statement_job, "contract": contract_job}

# What has to be read on the pages, word by word, for the order of words in Arabic lines is the eye's.
GOLDEN: dict[str, dict[str, tuple[str, ...]]] = {
    "invoice": {
        "ar": ("فاتورة", "ضريبية", "العميل", "الإجمالي", "الاستحقاق", "8,625.00"),
        "en": ("Tax Invoice", "Unit price", "SAR 8,625.00", "Page 1 of 1"),
    },
    "report": {
        "ar": (
            "التقرير",
            "المالي",
            "الإيرادات",
            "والمصروفات",
            "يناير",
            "تجاري",
            "53.8%",
            "671,000.75",
            "مدققة",
        ),
        "en": (
            "Financial Report",
            "Net profit",
            "January",
            "200K",
            "Commercial",
            "671,000.75",
            "Page 2 of 2",
        ),
    },
    "statement": {
        "ar": ("كشف", "حساب", "مدين", "دائن", "الرصيد", "الذمم", "11,125.00", "6,125.00", "توريد"),
        "en": (
            "Statement of Account",
            "Opening balance",
            "Credit note",
            "11,125.00",
            "61 – 90",
            "Page 1 of 1",
        ),
    },
    "contract": {
        "ar": ("عقد", "خدمات", "قانونية", "التمهيد", "الواجب", "التطبيق", "التوقيعات", "الشهود", "الملحق"),
        "en": (
            "Legal Services Agreement",
            "1.1.1",
            "Governing law",
            "Witnesses",
            "Schedule 1",
            "Page 3 of 3",
        ),
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def queue(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[QueueDefinition]:
    made = pdf_queue(store=LocalFileStore(tmp_path_factory.mktemp("files")))
    yield made
    await made.close()


async def made_by(queue: QueueDefinition, job: dict[str, Any]) -> bytes:
    result = await queue.process(PlainJob(job))
    content = await asyncio.to_thread(Path(result["filePath"]).read_bytes)
    assert result["size"] == len(content)
    return content


@pytest.mark.parametrize("language", ["ar", "en", "both"])
@pytest.mark.parametrize("renderer", ["plutoprint", "chromium"])
@pytest.mark.parametrize("kind", JOBS)
async def test_a_document_is_valid_and_can_be_read(
    kind: str, renderer: str, language: Literal["ar", "en", "both"], queue: QueueDefinition
) -> None:
    if renderer == "chromium":
        chromium()
    pdf = await made_by(queue, JOBS[kind](options={"language": language, "renderer": renderer}))

    check_pdf(pdf)
    text = text_of(pdf)
    for word in (
        *(GOLDEN[kind]["ar"] if language != "en" else ()),
        *(GOLDEN[kind]["en"] if language == "en" else ()),
    ):
        assert word in text, word
    reader = PdfReader(io.BytesIO(pdf), strict=True)
    assert reader.metadata is not None
    assert reader.metadata.title
    assert reader.metadata.author == seller()["nameEn" if language == "en" else "nameAr"]
    assert reader.trailer["/Root"]["/Lang"] == ("en" if language == "en" else "ar")
    assert {"Almarai"} <= fonts_of(pdf) <= {"Almarai", "IBMPlexSansArabic"}
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 842]


@pytest.mark.parametrize("renderer", ["plutoprint", "chromium"])
async def test_html_of_the_senders_own_is_made(renderer: str, queue: QueueDefinition) -> None:
    if renderer == "chromium":
        chromium()
    options = {
        "renderer": renderer, "landscape": True, "header": "رأس", "footer": "A & B", "margin": {"top": "3cm"},
    }  # fmt: skip
    html = "<!doctype html><html lang=en><title>A <b>title</title><p>Hello<p style='break-before: page'>وداعا"

    pdf = await made_by(queue, custom_job(html, options=options))

    check_pdf(pdf)
    reader = PdfReader(io.BytesIO(pdf))
    assert reader.metadata is not None
    assert (reader.metadata.title, reader.trailer["/Root"]["/Lang"]) == ("A <b>title", "en")
    pages = pages_of(pdf)
    assert ["Hello" in pages[0], "وداعا" in pages[1]] == [True, True]
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of 2" in page
        assert "A & B" in page
        assert "رأس" in page
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [842, 595]


async def test_results_say_what_was_made(tmp_path: Path) -> None:
    queue = pdf_queue(store=LocalFileStore(tmp_path))
    expected: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "report-financial-65f1c0a2b3d4e5f60718293b": (
            report_job(),
            {"reportId": "65f1c0a2b3d4e5f60718293b", "reportType": "financial"},
        ),
        "statement-ST-2025-031": (statement_job(), {"statementId": "65f1c0a2b3d4e5f60718293c"}),
        "contract-C-2025-007": (contract_job(), {"contractId": "65f1c0a2b3d4e5f60718293d"}),
        "مذكرة-رقم-3": (custom_job("<p>x", fileName="../مذكرة رقم 3.pdf"), {}),
    }

    for name, (job, facts) in expected.items():
        result = await queue.process(PlainJob(job))

        path = tmp_path / FIRM / "pdf" / f"{name}.pdf"
        size = len(await asyncio.to_thread(path.read_bytes))
        assert result == {
            "success": True, **facts, "fileName": path.name, "filePath": str(path), "size": size,
        }  # fmt: skip
    await queue.close()


async def test_a_long_statement_repeats_its_header_and_goes_on_counting(queue: QueueDefinition) -> None:
    entries = [
        {
            "date": "2025-04-01",
            "reference": f"INV-{at}",
            "description": "x" * 120 if at % 9 == 0 else "fees",
            "debit": 10,
        }
        for at in range(80)
    ]
    job = statement_job(
        options={"language": "en"}, openingBalance=0, entries=entries, closingBalance=None, ageing=None
    )

    pages = pages_of(await made_by(queue, job))

    assert len(pages) > 3
    assert all("Debit" in page for page in pages[:-1])
    assert all(f"Page {number} of {len(pages)}" in page for number, page in enumerate(pages, 1))
    text = "\n".join(pages)
    assert all(f"INV-{at}" in text for at in range(80))
    assert "800.00" in pages[-1]


async def test_a_long_clause_goes_on_over_the_page_in_both_languages(queue: QueueDefinition) -> None:
    clause = {
        "text": {"ar": "نص طويل يستمر. " * 400 + "انتهى", "en": "A text that goes on. " * 300 + "finished"}
    }

    pages = pages_of(await made_by(queue, contract_job(clauses=[clause])))

    assert len(pages) > 3
    assert any("finished" in page for page in pages)
    assert any("انتهى" in page for page in pages)


async def test_long_remarks_begin_where_there_is_room(queue: QueueDefinition) -> None:
    short, long = ("\n".join(f"line {number}" for number in range(lines)) for lines in (6, 40))

    pages = pages_of(
        await made_by(queue, invoice_job(options={"language": "en"}, paymentTerms=short, notes=long))
    )

    assert len(pages) == 2
    assert "line 5" in pages[0]
    assert "Notes" in pages[0]
    assert "line 39" in pages[1]


WIDE = "x" * 150, "999999999999.99"


@pytest.mark.parametrize("kinds", ["t" * 8, "t" * 12, "a" * 7, "ttaaaaaa"])
async def test_nothing_runs_off_the_page(kinds: str, queue: QueueDefinition) -> None:
    columns = [
        {"key": str(at), "label": "label" * 20, "kind": "text" if kind == "t" else "amount"}
        for at, kind in enumerate(kinds)
    ]
    row = {str(at): WIDE[0] if kind == "t" else WIDE[1] for at, kind in enumerate(kinds)}
    job = report_job(
        title="T" * 200,
        summary=[{"label": "l" * 120, "value": WIDE[1]}] * 4,
        sections=[{"table": {"columns": columns, "rows": [row] * 3}}],
    )
    places: list[float] = []

    def visit(text: str, cm: list[float], tm: list[float], *_: Any) -> None:
        if text.strip():
            places.append(tm[4] * cm[0] + cm[4])

    for page in PdfReader(io.BytesIO(await made_by(queue, job))).pages:
        page.extract_text(visitor_text=visit)

    assert min(places) >= 30
    assert max(places) <= 595 - 30


async def test_the_firm_is_looked_up_for_every_type(tmp_path: Path) -> None:
    asked: list[str] = []

    async def find(firm_id: str) -> Seller | None:
        asked.append(firm_id)
        return Seller.model_validate(seller(nameEn="Firm of the database"))

    queue = pdf_queue(store=LocalFileStore(tmp_path), find_seller=find)
    for make in (report_job, statement_job, contract_job):
        assert "Firm of the database" in text_of(await made_by(queue, make(firm=None)))

    assert asked == [FIRM] * 3


async def test_a_renderer_that_is_not_there_is_a_matter_of_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    queue = pdf_queue(store=LocalFileStore(tmp_path))

    with pytest.raises(NotConfiguredError, match="the job asks for the renderer 'chromium'") as caught:
        await queue.process(PlainJob(report_job(options={"renderer": "chromium"})))
    assert isinstance(caught.value, UnrecoverableError)


async def test_the_default_renderer_can_be_another(tmp_path: Path) -> None:
    engines = EngineOptions(default="chromium", chromium=chromium())
    queue = pdf_queue(store=LocalFileStore(tmp_path), engines=engines)
    try:
        default = await made_by(queue, statement_job())
        named = await made_by(queue, statement_job(options={"renderer": "plutoprint"}))
    finally:
        await queue.close()

    assert (b"Skia/PDF" in default, b"Skia/PDF" in named) == (True, False)
