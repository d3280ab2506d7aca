"""The HTML of an invoice: what stands in it, in which language, and that text stays text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.support.pdf_jobs import invoice_job, seller

from toril.queues.pdf import InvoicePayload
from toril.queues.pdf.documents.invoice import invoice_page, qr_code
from toril.queues.pdf.page import Page, direction, soft
from toril.queues.pdf.renderers.page_rules import css_string
from toril.queues.pdf.zatca_qr import decode_tlv, encode_tlv


def parsed(options: dict[str, Any] | None = None, **changes: Any) -> InvoicePayload:
    return InvoicePayload.model_validate(invoice_job(options=options, **changes)["data"])


def page(options: dict[str, Any] | None = None, **changes: Any) -> Page:
    payload = parsed(options, **changes)
    return invoice_page(payload.invoice_data, payload.invoice_data.seller, payload.options)


def words(page: Page) -> str:
    """The text between the tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.html.partition("<body>")[2]))


def test_a_page_in_both_languages_is_arabic_with_english_beside_it() -> None:
    both = page()

    assert (both.lang, both.title) == ("ar", "فاتورة ضريبية INV-2025/0042")
    assert '<html lang="ar" dir="rtl"' in both.html
    for text in ("فاتورة ضريبية", "Tax Invoice", "مكتب العدالة للمحاماة", "Al Adala Law Firm", "5,100.00"):
        assert text in words(both)


def test_an_english_page_has_english_labels_only() -> None:
    english = page({"language": "en"})

    assert (english.lang, english.title) == ("en", "Tax Invoice INV-2025/0042")
    assert '<html lang="en" dir="ltr"' in english.html
    assert "Tax Invoice" in words(english)
    assert "فاتورة ضريبية" not in words(english)
    assert "مكتب العدالة للمحاماة" not in words(english)


def test_an_arabic_page_has_arabic_labels_and_digits_as_asked() -> None:
    arabic = page({"language": "ar", "digits": "arabic"})

    assert "Tax Invoice" not in words(arabic)
    assert "٥٬١٠٠٫٠٠" in words(arabic)
    assert "٢٠٢٥-٠١-١٥" in words(arabic)
    assert "INV-2025/0042" in words(arabic)


def test_every_figure_stands_on_the_page() -> None:
    text = words(page({"language": "en"}))

    for figure in ("850.00", "5,100.00", "765.00", "5,865.00", "7,500.00", "1,125.00", "SAR 8,625.00"):
        assert figure in text
    assert "SA03 8000 0000 6080 1016 7519" in text


def test_rates_are_listed_when_there_are_several() -> None:
    text = words(
        page(
            {"language": "en"},
            items=[
                {"description": "fee", "unitPrice": 1000, "discount": 100},
                {"description": "court fee", "unitPrice": 200, "vatRate": 0},
            ],
            subtotal=1100,
            vatAmount=135,
            totalAmount=1235,
        )
    )

    assert "VAT 15% Taxable 900.00" in text
    assert "VAT 15% Total" not in text  # the rate stands on each line, not above them
    assert "VAT 0% Taxable 200.00" in text
    assert "Discount 100.00" in text


def test_the_vat_of_several_rates_adds_up_to_the_vat_that_was_sent() -> None:
    text = words(
        page(
            {"language": "en"},
            items=[
                {"description": "a", "unitPrice": "10.03"},
                {"description": "b", "unitPrice": "10.03", "vatRate": 5},
            ],
            subtotal="20.06",
            vatAmount="2.01",
            totalAmount="22.07",
        )
    )

    assert "VAT 15% Taxable 10.03 1.51 VAT 5% Taxable 10.03 0.50" in text


def test_one_rate_stands_above_the_lines() -> None:
    assert "VAT 15% Total" in words(page({"language": "en"}))


def test_without_a_vat_number_it_is_a_plain_invoice() -> None:
    plain = page({"language": "en"}, seller=seller(vatNumber=None))
    unknown = page({"language": "en"}, seller=None)

    for invoice in (plain, unknown):
        assert "Tax Invoice" not in invoice.html
        assert 'class="qr"' not in invoice.html


def test_the_qr_code_is_of_this_invoice() -> None:
    payload = parsed()

    code = qr_code(payload.invoice_data, payload.invoice_data.seller)

    assert code is not None
    values = {tag: value.decode() for tag, value in decode_tlv(code).items()}
    assert values == {
        1: "مكتب العدالة للمحاماة",
        2: "310122393500003",
        3: "2025-01-15T12:30:00",
        4: "8625.00",
        5: "1125.00",
    }


def test_a_finished_qr_code_is_taken_as_it_is() -> None:
    cleared = encode_tlv({1: "a", 2: "b", 3: "c", 4: "8625.00", 5: "1125.00", 6: "hash"})
    payload = parsed(qrCode=cleared)

    assert qr_code(payload.invoice_data, payload.invoice_data.seller) == cleared


HOSTILE = '<script>alert(1)</script>"\'&<img src="http://127.0.0.1/">{{ 7 * 7 }}</style>'
FIELDS = [
    "invoiceNumber",
    "clientName",
    "clientAddress",
    "clientEmail",
    "clientPhone",
    "clientVatNumber",
    "reference",
    "notes",
    "paymentTerms",
]


@pytest.mark.parametrize("field", [*FIELDS, "description", "unit", "seller"])
def test_markup_in_text_stays_text(field: str) -> None:
    changes: dict[str, Any] = {field: HOSTILE}
    if field == "invoiceNumber":
        changes = {field: HOSTILE[:50]}
    elif field == "seller":
        block = seller(**dict.fromkeys(("nameAr", "nameEn", "addressAr", "bankName", "phone"), HOSTILE))
        changes = {"seller": block}
    elif field in ("description", "unit"):
        line = {"description": "x", "unitPrice": 7500} | {field: HOSTILE[:20]}
        changes = {"items": [line]}

    html = page(**changes).html

    assert "<script" not in html
    assert all('src="data:' in tag for tag in re.findall(r"<img[^>]*>", html))
    assert "&lt;script&gt;" in html.replace("<wbr>", "")
    assert html.count("</style>") == 1
    assert "49" not in words(page(**changes)).replace("7519", "")


def test_a_style_sheet_string_cannot_be_left() -> None:
    assert css_string('a"</style>') == r'"a\22 \3c \2f style\3e "'
    assert css_string("مكتب ٣") == r'"مكتب\20 ٣"'


def test_long_words_can_be_broken_and_nothing_else() -> None:
    assert soft("short words only") == "short words only"
    assert soft("x" * 50) == "x" * 24 + "<wbr>" + "x" * 24 + "<wbr>" + "x" * 2
    assert soft("<" * 25) == "&lt;" * 24 + "<wbr>&lt;"


@pytest.mark.parametrize(
    ("line", "expected"),
    [("بند 1", "rtl"), ("12 - بند", "rtl"), ("Item بند", "ltr"), ("12.5", "ltr"), ("", "ltr")],
)
def test_a_line_runs_as_its_first_letter_does(line: str, expected: str) -> None:
    assert direction(line) == expected
