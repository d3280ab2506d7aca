"""The HTML of reports, statements and contracts, and what HTML of the sender's own says of itself."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.support.pdf_jobs import contract_job, custom_job, report_job, statement_job

from toril.queues.pdf import ContractPayload, CustomPayload, RenderOptions, ReportPayload, StatementPayload
from toril.queues.pdf.documents.base import Document
from toril.queues.pdf.documents.contract import contract_document
from toril.queues.pdf.documents.custom import custom_document
from toril.queues.pdf.documents.report import report_document
from toril.queues.pdf.documents.statement import statement_document
from toril.queues.pdf.renderers.page_rules import with_page_rules


def report(options: dict[str, Any] | None = None, **changes: Any) -> Document:
    payload = ReportPayload.model_validate(report_job(options=options, **changes)["data"])
    return report_document(payload, payload.firm)


def statement(options: dict[str, Any] | None = None, **changes: Any) -> Document:
    payload = StatementPayload.model_validate(statement_job(options=options, **changes)["data"])
    return statement_document(payload, payload.firm)


def contract(options: dict[str, Any] | None = None, **changes: Any) -> Document:
    payload = ContractPayload.model_validate(contract_job(options=options, **changes)["data"])
    return contract_document(payload, payload.firm)


def custom(html: str, **changes: Any) -> Document:
    return custom_document(CustomPayload.model_validate(custom_job(html, **changes)["data"]), None)


def words(document: Document) -> str:
    """The text between the tags."""
    body = document.page.html.partition("<body>")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


def test_each_document_says_its_name_and_what_it_is() -> None:
    made = [report(), statement(), contract()]

    assert [document.file_name for document in made] == [
        "report-financial-65f1c0a2b3d4e5f60718293b",
        "statement-ST-2025-031",
        "contract-C-2025-007",
    ]
    assert [dict(document.facts) for document in made] == [
        {"reportId": "65f1c0a2b3d4e5f60718293b", "reportType": "financial"},
        {"statementId": "65f1c0a2b3d4e5f60718293c"},
        {"contractId": "65f1c0a2b3d4e5f60718293d"},
    ]
    assert [document.page.title for document in made] == [
        "التقرير المالي",
        "كشف حساب ST-2025-031",
        "عقد تقديم خدمات قانونية C-2025-007",
    ]
    assert all(document.options.trusted for document in made)
    assert {document.page.author for document in made} == {"مكتب العدالة للمحاماة"}


@pytest.mark.parametrize("make", [report, statement, contract])
def test_an_english_page_has_no_arabic_but_the_senders(make: Any) -> None:
    english = make({"language": "en"})

    assert '<html lang="en" dir="ltr"' in english.page.html
    for label in ("فاتورة", "الإجمالي", "التوقيعات", "الفترة", "مكتب العدالة للمحاماة"):
        assert label not in words(english)


@pytest.mark.parametrize("make", [report, statement, contract])
def test_an_arabic_page_has_digits_as_asked(make: Any) -> None:
    arabic = make({"language": "ar", "digits": "arabic"})

    assert '<html lang="ar" dir="rtl"' in arabic.page.html
    assert "٢٠٢٥-" in words(arabic)
    assert "counter(pages, arabic-indic)" in arabic.page.html


def test_a_wide_page_is_on_its_side() -> None:
    assert "size: A4 landscape" in report({"landscape": True}).page.html
    assert "size: A4 landscape" not in report().page.html


def test_the_figures_of_a_report_are_printed_by_their_kind() -> None:
    text = words(report({"language": "en"}))

    for figure in (
        "1,284,500.00 SAR",
        "872,199.50",
        "1,354:05",
        "2019-03-01",
        "210:30",
        "-1,500.00",
        "32.1%",
    ):
        assert figure in text
    assert "Total 23 346:40 671,000.75" in text  # the sums
    assert "مؤسسة النخبة – 0 1:05 -1,500.00 –" in text  # missing values
    assert "All amounts in Saudi riyals" in text
    assert "Period : 2025-01-01 – 2025-06-30" in text.replace("Period:", "Period :")


def test_a_report_without_amounts_says_nothing_of_a_currency() -> None:
    text = words(report({"language": "en"}, summary=[], sections=[]))

    assert "riyals" not in text


def test_a_table_without_rows_says_so() -> None:
    empty = {"columns": [{"key": "a", "label": "A", "kind": "amount", "total": True}], "rows": []}

    assert "No data" in words(report({"language": "en"}, sections=[{"table": empty}]))


@pytest.mark.parametrize(
    ("count", "rows"), [(0, []), (1, [1]), (4, [4]), (5, [3, 2]), (9, [3, 3, 3]), (12, [4, 4, 4])]
)
def test_figures_stand_in_even_rows(count: int, rows: list[int]) -> None:
    html = report(summary=[{"label": "x", "value": 1}] * count).page.html

    tables = re.findall(r'<table class="figures">(.*?)</table>', html, re.DOTALL)
    assert [table.count("figure-card") for table in tables] == rows


def test_a_statement_has_the_balance_after_each_entry() -> None:
    text = words(statement({"language": "en"}))

    for row in (
        "Opening balance 2,500.00",
        "Invoice INV-2025/0042 Review of a supply agreement 8,625.00 11,125.00",
        "Payment TRX-88120 2,500.00 8,625.00",
        "Payment TRX-88977 5,000.00 3,625.00",
        "Invoice INV-2025/0077 2,875.00 6,500.00",
        "Credit note CN-12 خصم متفق عليه 375.00 6,125.00",
    ):
        assert row in text
    assert "Total 11,500.00 7,875.00 6,125.00" in text
    assert "Not yet due 2,500.00 1 – 30 0.00 31 – 60 3,625.00 61 – 90 0.00 90+ 0.00" in text
    assert "Balance due SAR 6,125.00" in text
    assert "SA03 8000 0000 6080 1016 7519" in text


def test_a_balance_in_the_clients_favour_is_said_in_words() -> None:
    text = words(
        statement({"language": "en"}, openingBalance=-500, entries=[], closingBalance=None, ageing=None)
    )

    assert "Balance in your favour SAR 500.00" in text
    assert "Balance due" not in text


def test_clauses_are_numbered_by_their_place() -> None:
    text = words(contract({"language": "en"}))

    for numbered in (
        "1. Scope of services",
        "1.1 Legal advice.",
        "1.1.1 In writing or orally.",
        "1.2 Representation",
        "2. Fees",
        "3. Governing law",
        "Schedule 1 : Fees",
        "1. Fees are without VAT.",
    ):
        assert numbered in text
    assert "١٫١" not in words(contract({"language": "ar", "digits": "arabic"}))
    assert "١.١.١ كتابةً أو شفاهةً." in words(contract({"language": "ar", "digits": "arabic"}))


def test_every_party_and_witness_has_a_place_to_sign() -> None:
    text = words(contract({"language": "en"}))

    assert text.count("Signature ") == 3
    assert "First party Al Adala Law Firm Name Sarah Al Qahtani Capacity Managing partner" in text
    assert "Second party Advanced Horizon Trading Co. Name Capacity Signature" in text


def test_a_contract_in_both_languages_has_them_side_by_side() -> None:
    html = contract({"language": "both"}).page.html
    only_arabic = contract(
        {"language": "both"}, clauses=[{"text": "نص"}], preamble=None, schedules=[]
    ).page.html

    assert html.count('class="side second"') == 2 + 1 + 6 + 1 + 1  # parties, preamble, clauses, schedule
    assert only_arabic.count('class="side second"') == 2
    assert "نص" in only_arabic


def test_a_contract_may_have_no_letterhead() -> None:
    assert 'class="seller"' in contract().page.html
    assert 'class="seller"' not in contract(letterhead=False).page.html
    assert contract(letterhead=False).page.author == ""


HOSTILE = "<script>alert(1)</script>\"'&<img src=x>{{ 7 * 7 }}</style>"


def hostile(value: Any) -> Any:
    """The same data with every text that is shown replaced."""
    if isinstance(value, dict):
        kept = ("kind", "type", "key", "currency", "firm")
        return {
            key: each
            if key in kept or "date" in key.lower() or "period" in key or "At" in key
            else hostile(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return HOSTILE[:50] if isinstance(value, str) and not re.fullmatch(r"[\d.-]+", value) else value


@pytest.mark.parametrize(("make", "job", "data"), [
    (report, report_job, "reportData"), (statement, statement_job, "statementData"),
    (contract, contract_job, "contractData"),
], ids=["report", "statement", "contract"])  # fmt: skip
@pytest.mark.parametrize("language", ["ar", "en", "both"])
def test_markup_in_text_stays_text(make: Any, job: Any, data: str, language: str) -> None:
    html = make({"language": language}, **hostile(job()["data"][data])).page.html

    assert "<script" not in html
    assert all('src="data:' in tag for tag in re.findall(r"<img[^>]*>", html))
    assert html.count("</style>") == 1
    assert html.replace("<wbr>", "").count("&lt;script&gt;") > 5


@pytest.mark.parametrize(
    ("html", "changes", "title", "lang", "name"),
    [
        ("<title> A\n b </title>", {}, "A b", "ar", "document"),
        ("<html lang=fr-CA><title>x &amp; y</title>", {}, "x & y", "fr-CA", "document"),
        ("<html lang='no tag!'>", {"fileName": "Report.PDF"}, "Report", "ar", "Report"),
        ("<title>x", {"options": {"title": "mine", "language": "en"}}, "mine", "en", "document"),
        ("<p>x", {"fileName": "../../etc/passwd"}, "../../etc/passwd", "ar", "../../etc/passwd"),
        ("<title></title><p>", {}, "Document", "ar", "document"),
        ("<html data-lang=xx LANG = 'en'><title>a <b>b</title>", {}, "a <b>b", "en", "document"),
        ("<<<!>&&&<![CDATA[", {}, "Document", "ar", "document"),
    ],
)
def test_html_names_itself(html: str, changes: dict[str, Any], title: str, lang: str, name: str) -> None:
    document = custom(html, **changes)

    assert (document.page.title, document.page.lang, document.file_name) == (title, lang, name)
    assert document.options.trusted is False
    assert document.page.html == html


def test_options_become_those_of_the_renderer() -> None:
    options = {"format": "Letter", "landscape": True, "margin": "1cm", "header": "h", "pageNumbers": False}

    document = custom("<p>x", options=options)

    assert document.options.size == "Letter"
    assert (document.options.landscape, document.options.page_numbers) == (True, False)
    assert (document.options.header, document.options.margins.top) == ("h", 10)


@pytest.mark.parametrize(
    ("html", "begins"),
    [
        ("<!DOCTYPE html><p>", "<!DOCTYPE html><style>@page {"),
        (
            "\ufeff<!-- a > b -->\n<!doctype html SYSTEM 'x'>\n<p>",
            "\ufeff<!-- a > b -->\n<!doctype html SYSTEM 'x'><style>",
        ),
        ("<p>a <!doctype html>", "<style>@page {"),
        ("", "<style>@page {"),
    ],
)
def test_the_rules_of_pages_stand_behind_the_doctype(html: str, begins: str) -> None:
    made = with_page_rules(html, RenderOptions(), lang="ar")

    assert made.startswith(begins)
    assert re.sub(r"<style>@page.*?</style>", "", made) == html


def test_a_header_cannot_leave_its_string() -> None:
    options = RenderOptions(header='"; } </style><script>', footer="ص", page_numbers=True)

    made = with_page_rules("<p>", options, lang="ar-SA")

    assert made.count("</style>") == 1
    assert "<script>" not in made
    assert '@bottom-right { content: "ص"; direction: rtl;' in made
    assert '@bottom-left { content: "صفحة" " " counter(page)' in made
    assert "@top-left" not in with_page_rules("<p>", RenderOptions(), lang="en")
