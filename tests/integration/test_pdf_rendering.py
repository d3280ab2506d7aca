"""Invoices as PDF files, made by the real engine and read back."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from pypdf.generic import StreamObject
from tests.support.pdf_jobs import fonts_of, invoice_job, many_lines, pages_of, seller, text_of

from toril.queues.pdf import InvoicePayload, RenderError, RenderOptions
from toril.queues.pdf.documents.invoice import invoice_page, qr_code
from toril.queues.pdf.renderers.plutoprint import PlutoPrintRenderer

RENDERER = PlutoPrintRenderer()


async def rendered(options: dict[str, Any] | None = None, **changes: Any) -> bytes:
    payload = InvoicePayload.model_validate(invoice_job(options=options, **changes)["data"])
    page = invoice_page(payload.invoice_data, payload.invoice_data.seller, payload.options)
    return await RENDERER.render(
        page.html, title=page.title, lang=page.lang, options=RenderOptions(author=page.author, trusted=True)
    )


async def test_an_invoice_is_one_page_of_selectable_text() -> None:
    pages = pages_of(await rendered())

    assert len(pages) == 1
    for word in ("فاتورة", "ضريبية", "الإجمالي", "الضريبي", "العدالة", "توريد", "الاستحقاق"):
        assert word in pages[0]
    for text in ("Tax Invoice", "INV-2025/0042", "Drafting of an agreement", "8,625.00", "310122393500003"):
        assert text in pages[0]


async def test_letters_are_named_by_themselves_and_not_by_their_shapes() -> None:
    text = PdfReader(io.BytesIO(await rendered())).pages[0].extract_text()

    shapes = {letter for letter in text if "\ufe70" <= letter <= "\ufefc" or "\ufb50" <= letter <= "\ufdff"}
    # Left are ligatures of two letters, such as lam-alef.
    assert all(len(unicodedata.normalize("NFKC", shape)) > 1 for shape in shapes)


async def test_the_file_says_its_title_language_and_author() -> None:
    for language, lang, title in (("both", "ar", "فاتورة ضريبية"), ("en", "en", "Tax Invoice")):
        reader = PdfReader(io.BytesIO(await rendered({"language": language})), strict=True)

        assert reader.metadata is not None
        assert reader.metadata.title == f"{title} INV-2025/0042"
        assert reader.metadata.author == ("Al Adala Law Firm" if lang == "en" else "مكتب العدالة للمحاماة")
        assert reader.trailer["/Root"]["/Lang"] == lang
        assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 842]


async def test_a_long_invoice_repeats_its_header_and_counts_its_pages() -> None:
    pages = pages_of(await rendered({"language": "en"}, **many_lines(60)))

    assert len(pages) == 3
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of 3" in page
        assert "Al Adala Law Firm · INV-2025/0042" in page
    assert all("Unit price" in page for page in pages[:2])
    assert "6,900.00" in pages[-1]
    assert sum(page.count("115.00") for page in pages) == 60


async def test_digits_are_arabic_when_asked_for() -> None:
    text = text_of(await rendered({"language": "ar", "digits": "arabic"}))

    # pypdf turns runs of these digits around, taking them for letters.
    assert "٨٬٦٢٥٫٠٠"[::-1] in text
    assert "8,625.00" not in text


async def test_empty_fields_leave_no_label_behind() -> None:
    text = text_of(await rendered({"language": "en"}, notes="", paymentTerms="", dueDate=None, seller=None))

    for label in ("Notes", "Payment terms", "Due date", "VAT no.", "Bank details"):
        assert label not in text


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"notes": "كلمة " * 900}, id="long notes"),
        pytest.param({"clientName": "ا" * 300}, id="name without a space"),
        pytest.param({"seller": seller(addressEn="x" * 300)}, id="address without a space"),
        pytest.param(
            {
                "items": [{"description": "x" * 2000, "unitPrice": "99999999999.99"}],
                "subtotal": "99999999999.99",
                "vatAmount": "15000000000.00",
                "totalAmount": "114999999999.99",
            },
            id="huge amount",
        ),
    ],
)
async def test_nothing_runs_off_the_page(changes: dict[str, Any]) -> None:
    reader = PdfReader(io.BytesIO(await rendered(**changes)))
    places: list[float] = []

    def visit(text: str, cm: list[float], tm: list[float], *_: Any) -> None:
        if text.strip():
            places.append(tm[4] * cm[0] + cm[4])

    for page in reader.pages:
        page.extract_text(visitor_text=visit)

    assert min(places) >= 30
    assert max(places) <= 595 - 30


async def test_the_qr_code_on_the_page_reads_as_the_invoice() -> None:
    zxingcpp = pytest.importorskip("zxingcpp")
    payload = InvoicePayload.model_validate(invoice_job(seller=seller(logo=None))["data"])
    reader = PdfReader(io.BytesIO(await rendered(seller=seller(logo=None))))
    (image,) = (entry.get_object() for entry in reader.pages[0]["/Resources"]["/XObject"].values())  # type: ignore[index]
    assert isinstance(image, StreamObject)
    side, packed = int(image["/Width"]), image.get_data()
    row = len(packed) // side

    # One bit a pixel, unpacked to a byte each, with the white border that the page has around the picture.
    white, edge = b"\xff", 16
    wide = side + 2 * edge
    grey = bytearray(white * wide * edge)
    for at in range(0, len(packed), row):
        bits = "".join(f"{byte:08b}" for byte in packed[at : at + row])[:side]
        grey += white * edge + bytes(255 if bit == "1" else 0 for bit in bits) + white * edge
    grey += white * wide * edge
    found = zxingcpp.read_barcode(memoryview(grey).cast("B", (wide, wide)))

    assert found is not None
    assert found.text == qr_code(payload.invoice_data, payload.invoice_data.seller)


async def test_eight_at_once_are_eight_different_files() -> None:
    numbers = [f"INV-{number}" for number in range(8)]

    files = await asyncio.gather(*(rendered(invoiceNumber=number) for number in numbers))

    for number, file in zip(numbers, files, strict=True):
        assert [other for other in numbers if other in text_of(file)] == [number]


async def test_other_work_goes_on_while_a_file_is_made() -> None:
    await rendered()  # the engine has read its fonts
    making = asyncio.create_task(rendered(**many_lines(400)))
    turns = 0
    while not making.done():
        await asyncio.sleep(0)
        turns += 1
    await making

    assert turns > 100


async def test_text_that_ends_early_is_an_error() -> None:
    with pytest.raises(RenderError, match=r"'broken' could not be rendered: .*null"):
        await RENDERER.render("a\x00b", title="broken", lang="en", options=RenderOptions(trusted=True))


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs pdftotext (poppler-utils)")
async def test_arabic_lines_are_in_reading_order(tmp_path: Path) -> None:
    file = tmp_path / "invoice.pdf"
    file.write_bytes(await rendered({"language": "ar"}))

    def read() -> str:
        run = subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, check=True)
        marks = dict.fromkeys(range(0x202A, 0x202F))  # embedding marks around each line
        return unicodedata.normalize("NFKC", run.stdout.decode()).translate(marks)

    text = await asyncio.to_thread(read)

    assert "مكتب العدالة للمحاماة" in text
    assert "شركة الأفق المتقدم للتجارة" in text
    assert "يرجى ذكر رقم الفاتورة عند التحويل" in text


SCRIPT = """
import asyncio, sys
sys.path.insert(0, {root!r})
from tests.integration.test_pdf_rendering import rendered
sys.stdout.buffer.write(asyncio.run(rendered()))
"""


async def test_it_looks_the_same_on_a_machine_without_fonts(tmp_path: Path) -> None:
    config = tmp_path / "none.conf"
    config.write_text('<?xml version="1.0"?><fontconfig></fontconfig>')
    root = str(Path(__file__).parents[2])
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "none"), "FONTCONFIG_FILE": str(config)}

    run = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", SCRIPT.format(root=root)],
        env=environment,
        capture_output=True,
        check=True,
    )

    assert run.stderr == b""
    assert fonts_of(run.stdout) == {"Almarai", "IBMPlexSansArabic"}
    assert text_of(run.stdout) == text_of(await rendered())


async def test_it_is_said_when_the_engine_was_used_before() -> None:
    script = """
import asyncio, io, plutoprint
book = plutoprint.Book()
book.load_html("x")
book.write_to_pdf_stream(io.BytesIO())
from toril.queues.pdf import RenderOptions
from toril.queues.pdf.renderers.plutoprint import PlutoPrintRenderer
asyncio.run(PlutoPrintRenderer().render("x", title="x", lang="en", options=RenderOptions(trusted=True)))
"""
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert run.returncode == 1
    assert "ConfigurationError: plutoprint does not know the font Almarai: other code" in run.stderr
