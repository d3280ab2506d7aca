"""The payload of an invoice: what is taken, and an error that names the field for what is not."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.pdf_jobs import FIRM, PlainJob, invoice_job, many_lines, picture, seller

from toril.errors import PayloadError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.pdf import InvoicePayload, pdf_queue
from toril.queues.pdf.fields import RIYADH
from toril.queues.pdf.zatca_qr import encode_tlv
from toril.queues.storage import LocalFileStore


class NoRenderer:
    """For tests that render nothing."""

    async def render(self, html: str, *, title: str, lang: str, options: object = None) -> bytes:
        raise AssertionError("nothing is rendered here")

    async def close(self) -> None: ...


QUEUE = pdf_queue(store=LocalFileStore(Path("unused")), renderer=NoRenderer())


def checked(job: dict[str, Any], queue: QueueDefinition = QUEUE) -> InvoicePayload:
    _, payload = queue.check(job)
    assert isinstance(payload, InvoicePayload)
    return payload


def item(**changes: Any) -> dict[str, Any]:
    """Changes that leave an invoice one line of 100.00."""
    line = {"description": "x", "unitPrice": 100} | changes
    return {"items": [line], "subtotal": 100, "vatAmount": 15, "totalAmount": 115}


def test_an_invoice_is_taken_as_node_writes_it() -> None:
    payload = checked(invoice_job(options={"language": "ar", "digits": "arabic", "color": "#7A1F2B"}))

    invoice = payload.invoice_data
    assert payload.firm_id == FIRM
    assert invoice.date == datetime(2025, 1, 15, 12, 30, tzinfo=RIYADH)
    assert invoice.due_date == datetime(2025, 2, 14, tzinfo=RIYADH)
    assert [line.total for line in invoice.items] == [Decimal(5100), Decimal(2400)]
    assert invoice.total_amount == Decimal(8625)
    assert invoice.seller is not None
    assert invoice.seller.iban == "SA0380000000608010167519"
    assert payload.options.language == "ar"


@pytest.mark.parametrize(
    "line",
    [
        {"description": "fee", "quantity": 2, "unitPrice": 50, "total": 100},
        {"description": "fee", "quantity": 2, "price": "50.00", "amount": 100},
        {"name": "fee", "qty": 2, "rate": 50},
        {"title": "fee", "hours": "2", "rate": 50, "amount": "100.00", "_id": "65f1c0a2b3d4e5f60718293f"},
    ],
)
def test_a_line_may_be_named_as_applications_do(line: dict[str, Any]) -> None:
    (read,) = checked(invoice_job(**item() | {"items": [line]})).invoice_data.items

    assert (read.description, read.quantity, read.unit_price, read.total) == ("fee", 2, 50, 100)
    assert list(read.model_dump(by_alias=True)) == [
        *("description", "quantity", "unit", "unitPrice", "discount", "vatRate", "total")
    ]


@pytest.mark.parametrize(
    "line", [{"amount": 100}, {"total": "100.00", "quantity": 1}, {"amount": 100, "qty": "1"}]
)
def test_a_line_of_one_piece_costs_its_total(line: dict[str, Any]) -> None:
    payload = checked(invoice_job(**item() | {"items": [{"description": "fee", "discount": None} | line]}))

    assert payload.invoice_data.items[0].unit_price == 100


def test_what_is_optional_may_be_missing_or_null() -> None:
    optional = ["dueDate", "clientEmail", "clientPhone", "clientAddress", "notes", "paymentTerms", "seller"]
    with_nulls = invoice_job(**dict.fromkeys(optional))
    with_nulls["data"]["options"] = None
    without = invoice_job()
    for field in (*optional, "currency"):
        del without["data"]["invoiceData"][field]

    for payload in (checked(with_nulls), checked(without)):
        assert payload.invoice_data.notes == ""
        assert payload.invoice_data.due_date is None
        assert payload.invoice_data.currency == "SAR"
        assert payload.options.language == "both"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param("2025-01-31", datetime(2025, 1, 31, tzinfo=RIYADH), id="a day"),
        pytest.param("2025-01-30T21:00:00.000Z", datetime(2025, 1, 31, tzinfo=RIYADH), id="midnight in UTC"),
        pytest.param("2025-01-31T08:15:00", datetime(2025, 1, 31, 8, 15, tzinfo=RIYADH), id="no zone"),
        pytest.param(1738270800000, datetime(2025, 1, 31, tzinfo=RIYADH), id="milliseconds"),
    ],
)
def test_a_date_is_read_in_riyadh(sent: object, expected: datetime) -> None:
    assert checked(invoice_job(date=sent)).invoice_data.date == expected


@pytest.mark.parametrize(
    ("sent", "percent"),
    [
        pytest.param(15, Decimal(15), id="percent"),
        pytest.param("15.0", Decimal(15), id="string"),
        pytest.param(0.15, Decimal(15), id="fraction"),
    ],
)
def test_a_rate_may_be_a_percentage_or_a_fraction(sent: object, percent: Decimal) -> None:
    assert checked(invoice_job(vatRate=sent)).invoice_data.vat_rate == percent


def test_a_float_means_the_digits_it_is_written_with() -> None:
    figures = {"subtotal": 100.1, "vatAmount": 15.02, "totalAmount": 115.12}

    payload = checked(invoice_job(**item(unitPrice=100.1) | figures))

    assert payload.invoice_data.items[0].total == Decimal("100.1")


def test_control_characters_are_dropped_and_lines_kept() -> None:
    payload = checked(invoice_job(notes="first\r\nsecond\x00\x0b line\ud800"))

    assert payload.invoice_data.notes == "first\nsecond line"


def test_each_line_may_have_its_own_rate() -> None:
    payload = checked(
        invoice_job(
            items=[
                {"description": "fee", "unitPrice": 1000},
                {"description": "court fee", "unitPrice": 200, "vatRate": 0},
            ],
            subtotal=1200,
            vatAmount=150,
            totalAmount=1350,
        )
    )

    groups = payload.invoice_data.vat_groups
    assert [(group.rate, group.taxable, group.vat) for group in groups] == [(15, 1000, 150), (0, 200, 0)]


BAD = {
    "no number": ({"invoiceNumber": " "}, "invoiceData.invoiceNumber", "at least 1 character"),
    "number too long": ({"invoiceNumber": "9" * 51}, "invoiceData.invoiceNumber", "at most 50"),
    "date": ({"date": "15/01/2025"}, "invoiceData.date", "not a date such as 2025-01-31"),
    "date in seconds": ({"date": 1738270800}, "invoiceData.date", "milliseconds since 1970"),
    "no client": ({"clientName": None}, "invoiceData.clientName", "at least 1 character"),
    "currency": ({"currency": "riyal"}, "invoiceData.currency", "pattern"),
    "no items": ({"items": []}, "invoiceData.items", "at least 1 item"),
    "too many items": (many_lines(2001), "invoiceData.items", "at most 2000 items"),
    "item text": (item(description=""), "invoiceData.items.0.description", "at least 1 character"),
    "item price text": (item(unitPrice="1,000"), "invoiceData.items.0.unitPrice", "not a plain number"),
    "item price true": (item(unitPrice=True), "invoiceData.items.0.unitPrice", "expected a number"),
    "item price nan": (item(unitPrice="NaN"), "invoiceData.items.0.unitPrice", "finite"),
    "item price huge": (item(unitPrice="1e12"), "invoiceData.items.0.unitPrice", "larger than"),
    "item price tiny": (item(unitPrice="1e-31"), "invoiceData.items.0.unitPrice", "more digits"),
    "item quantity": (item(quantity=0), "invoiceData.items.0.quantity", "above zero"),
    "item discount": (item(discount=-1), "invoiceData.items.0.discount", "not be negative"),
    "item rate": (item(vatRate=115), "invoiceData.items.0.vatRate", "percentage from 0 to 100"),
    "item unknown": (item(prize=100), "invoiceData.items.0.prize", "Extra inputs"),
    "item price twice": (item(price=100), "invoiceData.items.0.price", "Extra inputs"),
    "item price by another name": (
        item(unitPrice=None, rate="1,000"),
        "invoiceData.items.0.rate",
        "not a plain number",
    ),
    "item total by another name": (
        item(amount=150, quantity=2),
        "invoiceData.items.0.amount",
        "is 200.00, not 150.00",
    ),
    "item hours of words": (item(hours="two"), "invoiceData.items.0.hours", "not a plain number"),
    "item hours of a list": (
        item(unitPrice=None, hours=[], amount=1),
        "invoiceData.items.0.hours",
        "a plain number",
    ),
    "item without a price": (
        item(unitPrice=None, quantity=3, total=100),
        "invoiceData.items.0.unitPrice",
        "Field required",
    ),
    "item with a discount and no price": (
        item(unitPrice=None, discount=3, total=100),
        "invoiceData.items.0.unitPrice",
        "Field required",
    ),
    "item without a text": (item(description=None), "invoiceData.items.0.description", "Field required"),
    "item text long": (item(description="x" * 2001), "invoiceData.items.0.description", "at most 2000"),
    "item text a number": (item(description=5), "invoiceData.items.0.description", "valid string"),
    "item unit long": (item(unit="x" * 21), "invoiceData.items.0.unit", "at most 20"),
    "item no object": ({"items": ["x"]}, "invoiceData.items.0", "valid dictionary"),
    "items no list": ({"items": {"0": {}}}, "invoiceData.items", "valid list"),
    "item total": (item(quantity=2, total=150), "invoiceData.items.0.total", "is 200.00, not 150.00"),
    "subtotal": ({"subtotal": 7500.03}, "invoiceData.subtotal", "sum of the lines is 7500.00, not 7500.03"),
    "VAT": ({"vatAmount": 1130}, "invoiceData.vatAmount", "(15.00 % of 7500.00) is 1125.00, not 1130.00"),
    "VAT rate": ({"vatRate": 5}, "invoiceData.vatAmount", "(5.00 % of 7500.00) is 375.00, not 1125.00"),
    "total": ({"totalAmount": 8625.02}, "invoiceData.totalAmount", "subtotal + vatAmount is 8625.00"),
    "negative total": ({"totalAmount": -8625}, "invoiceData.totalAmount", "not be negative"),
    "notes too long": ({"notes": "x" * 5001}, "invoiceData.notes", "at most 5000"),
    "unknown field": ({"clientname": "x"}, "invoiceData.clientname", "Extra inputs"),
    "seller unnamed": ({"seller": seller(nameAr="", nameEn=None)}, "invoiceData.seller.nameEn", "nameAr"),
    "seller name too long": ({"seller": seller(nameAr="법" * 100)}, "invoiceData.seller.nameAr", "255 bytes"),
    "seller VAT number": ({"seller": seller(vatNumber="31012")}, "invoiceData.seller.vatNumber", "pattern"),
    "IBAN": ({"seller": seller(iban="1234")}, "invoiceData.seller.iban", "not an IBAN"),
    "IBAN digits": (
        {"seller": seller(iban="SA0380000000608010167591")},
        "invoiceData.seller.iban",
        "check digits are wrong",
    ),
    "logo from elsewhere": (
        {"seller": seller(logo="https://x.test/a.png")},
        "invoiceData.seller.logo",
        "data URI",
    ),
    "logo not a picture": (
        {"seller": seller(logo="data:image/png;base64,aGVsbG8=")},
        "invoiceData.seller.logo",
        "does not hold a PNG",
    ),
    "logo too large": (
        {"seller": seller(logo=picture(9000, 9))},
        "invoiceData.seller.logo",
        "9000 × 9 pixels",
    ),
    "QR code": ({"qrCode": "not base64"}, "invoiceData.qrCode", "not base64"),
    "QR code of another": (
        {"qrCode": encode_tlv({1: "a", 2: "b", 3: "c", 4: "8625.00", 5: "1.00"})},
        "invoiceData.qrCode",
        "VAT is 1.00, the invoice's 1125",
    ),
    "QR code cut": ({"qrCode": "AQ=="}, "invoiceData.qrCode", "ends inside field 1"),
    "QR code incomplete": (
        {"qrCode": encode_tlv({1: "a", 2: "b"})},
        "invoiceData.qrCode",
        "lacks field 3, 4, 5",
    ),
}


@pytest.mark.parametrize(("changes", "field", "message"), BAD.values(), ids=BAD)
def test_what_is_refused_is_named(changes: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        checked(invoice_job(**changes))

    assert caught.value.field == field
    assert message in str(caught.value)
    assert str(caught.value).startswith("pdf job of type 'invoice' is not acceptable")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("firmId", None, id="no firm"),
        pytest.param("firmId", "../other", id="a path as firm"),
        pytest.param("invoiceId", "", id="no invoice id"),
        pytest.param("html", "<p>", id="unknown field"),
        pytest.param("options", {"language": "fr"}, id="language"),
        pytest.param("options", {"color": "red;} body {display: none"}, id="style sheet as color"),
    ],
)
def test_what_is_refused_around_the_invoice_is_named(path: str, value: object) -> None:
    job = invoice_job()
    job["data"][path] = value

    with pytest.raises(PayloadError) as caught:
        checked(job)

    assert caught.value.field is not None
    assert caught.value.field.startswith(path)


async def test_a_refused_job_fails_without_retries() -> None:
    with pytest.raises(UnrecoverableError, match=r"invoiceData\.subtotal"):
        await QUEUE.process(PlainJob(invoice_job(subtotal=1)))


def test_the_defaults_are_those_of_the_queue() -> None:
    assert QUEUE.name == "pdf"
    assert QUEUE.job_options["attempts"] == 2
    assert QUEUE.job_options["backoff"] == {"type": "fixed", "delay": 5000}
    assert QUEUE.job_options["removeOnComplete"] == {"age": 48 * 3600, "count": 200}
    assert QUEUE.job_options["timeout"] == 120_000
    assert QUEUE.lock_duration == 120.0


#: A busy machine makes examples slowly, which says nothing about the code.
STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CENTS = st.decimals(min_value=0, max_value=1_000_000, places=2)


@STEADY
@given(
    lines=st.lists(
        st.tuples(st.decimals(min_value="0.01", max_value=1000, places=2), CENTS), min_size=1, max_size=20
    )
)
def test_figures_rounded_on_each_line_are_taken(lines: list[tuple[Decimal, Decimal]]) -> None:
    cent = Decimal("0.01")
    totals = [(quantity * price).quantize(cent) for quantity, price in lines]
    vat = sum(((total * 15 / 100).quantize(cent) for total in totals), Decimal(0))
    items = [
        {"description": "x", "quantity": str(quantity), "unitPrice": str(price), "total": str(total)}
        for (quantity, price), total in zip(lines, totals, strict=True)
    ]

    payload = checked(
        invoice_job(
            items=items, subtotal=str(sum(totals)), vatAmount=str(vat), totalAmount=str(sum(totals) + vat)
        )
    )

    assert payload.invoice_data.subtotal == sum(totals)
