"""From a firm's records to a tax document: who is who, when it was issued, and why there is no VAT."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from tests.support.records import NOW

from toril.db.models import (
    Client,
    ClientKind,
    Firm,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    VatCategory,
    ZatcaKind,
)
from toril.errors import ConfigurationError, UnrecoverableError
from toril.queues.sync.zatca.document import HALALA, TaxDocument, share_out
from toril.queues.sync.zatca.exemptions import read_exemptions
from toril.queues.sync.zatca.from_records import tax_document
from toril.queues.sync.zatca.parties import (
    business_buyer,
    buyer_problems,
    personal_id,
    registration,
    seller,
    seller_problems,
)
from toril.queues.sync.zatca.xml import one_line

ADDRESS = {"street": "King Fahd Road", "building_number": "7624", "district": "Olaya", "city": "Riyadh",
           "postal_code": "12211", "country": "SA"}  # fmt: skip


def a_firm(**values: Any) -> Firm:
    defaults = {"name_ar": "مكتب الميزان", "name_en": "Al Mizan", "vat_number": "399999999900003",
                "commercial_registration": "1010455867", **ADDRESS}  # fmt: skip
    return Firm(**(defaults | values))


def a_client(**values: Any) -> Client:
    defaults = {"kind": ClientKind.BUSINESS, "name": "السند", "vat_number": "311111111100003", **ADDRESS}
    return Client(**(defaults | values))


def a_line(**values: Any) -> InvoiceLine:
    defaults = {"description": "Advice", "quantity": Decimal(1), "unit": "", "unit_price": Decimal(100),
                "discount": Decimal(0), "vat_category": VatCategory.STANDARD, "vat_rate": Decimal(15),
                "net": Decimal(100), "vat_amount": Decimal(15)}  # fmt: skip
    return InvoiceLine(**(defaults | values))


def an_invoice(**values: Any) -> Invoice:
    defaults = {"number": "INV-1", "status": InvoiceStatus.SENT, "issue_date": date(2026, 3, 1), "currency": "SAR",
                "subtotal": Decimal(100), "discount": Decimal(0), "vat_amount": Decimal(15), "total": Decimal(115),
                "client": a_client(), "lines": [a_line()]}  # fmt: skip
    return Invoice(**(defaults | values))


def document(*, firm: Firm | None = None, now: datetime = NOW, **values: Any) -> TaxDocument:
    return tax_document(an_invoice(**values), firm or a_firm(), now=now, exemptions=read_exemptions({}))


@pytest.mark.parametrize(
    ("sent_at", "now", "issued_at"),
    [
        pytest.param(
            datetime(2026, 3, 1, 6, 7, 8, 9, tzinfo=UTC), NOW, "2026-03-01T09:07:08+03:00", id="sent"
        ),
        pytest.param(None, NOW, "2026-03-01T12:30:00+03:00", id="not sent, today"),
        pytest.param(NOW - timedelta(days=2), NOW, "2026-03-01T12:30:00+03:00", id="sent another day"),
        pytest.param(None, NOW + timedelta(days=9), "2026-03-01T00:00:00+03:00", id="some time ago"),
        pytest.param(
            datetime(2026, 2, 28, 22, tzinfo=UTC), NOW, "2026-03-01T01:00:00+03:00", id="the day in Riyadh"
        ),
    ],
)
def test_the_time_of_issue(sent_at: datetime | None, now: datetime, issued_at: str) -> None:
    assert document(sent_at=sent_at, now=now).issued_at.isoformat() == issued_at


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("ساعة · hour", "HUR"),
        ("Hours", "HUR"),
        ("يوم", "DAY"),
        ("شهر/month", "MON"),
        ("صفحة · page", "PCE"),
        ("", "PCE"),
    ],
)
def test_units_have_codes(unit: str, code: str) -> None:
    assert document(lines=[a_line(unit=unit)]).lines[0].unit_code == code


@pytest.mark.parametrize(
    ("number", "scheme"),
    [
        ("1010455867", ("CRN", "1010455867")),
        ("1010-455 867", ("CRN", "1010455867")),
        ("7001234567", ("700", "7001234567")),
        ("LIC/33", ("OTH", "LIC33")),
        ("ترخيص ٣٣", None),
        ("", None),
        (None, None),
    ],
)
def test_registrations_have_schemes(number: str | None, scheme: tuple[str, str] | None) -> None:
    assert registration(number) == scheme


def test_personal_ids_have_schemes() -> None:
    numbers = ("1010101013", "2010101013", "7010101013", "A1234567", "")
    assert [personal_id(number) for number in numbers] == [
        ("NAT", "1010101013"),
        ("IQA", "2010101013"),
        ("700", "7010101013"),
        ("OTH", "A1234567"),
        None,
    ]


def test_the_firm_is_the_seller_by_its_arabic_name() -> None:
    assert seller(a_firm()).name == "مكتب الميزان"
    assert seller(a_firm(name_ar="")).name == "Al Mizan"
    assert seller_problems(a_firm()) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"vat_number": "123"}, "VAT number must have 15 digits"),
        ({"vat_number": None}, "VAT number must have 15 digits"),
        ({"name_ar": " ", "name_en": ""}, "no name"),
        ({"commercial_registration": None}, "no commercial registration"),
        ({"country": "AE"}, "country must be SA"),
        ({"building_number": "12"}, "building number must have 4 digits"),
        ({"postal_code": "1221"}, "postal code must have 5 digits"),
        ({"district": None}, "no district"),
    ],
)
def test_what_a_firm_lacks_is_told(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UnrecoverableError, match=said):
        document(firm=a_firm(**values))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": " "}, "no name"),
        ({"street": None}, "no street"),
        ({"city": ""}, "no city"),
        ({"vat_number": "5" * 15}, "client's VAT number"),
        ({"vat_number": None}, "needs a VAT number"),
        ({"country": "Oman"}, "code of two letters"),
    ],
)
def test_what_a_business_lacks_is_told(values: dict[str, Any], said: str) -> None:
    assert [problem for problem in buyer_problems(a_client(**values)) if said in problem]
    with pytest.raises(UnrecoverableError, match=said):
        document(client=a_client(**values))
    assert document(client=a_client(kind=ClientKind.PERSON, **values)).kind is ZatcaKind.SIMPLIFIED


def test_a_business_without_vat_number_is_known_by_its_registration() -> None:
    buyer = business_buyer(
        a_client(vat_number="", commercial_registration="1010000001", national_id="7001234567")
    )
    assert (buyer.vat_number, buyer.id_scheme, buyer.id) == (None, "CRN", "1010000001")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(
        UnrecoverableError, match=r"draft; .*its date .*line 1 comes to .*the firm's VAT number"
    ):
        document(
            firm=a_firm(vat_number=None),
            status=InvoiceStatus.DRAFT,
            issue_date=date(2026, 3, 2),
            lines=[a_line(quantity=Decimal("1.5"))],
        )


@pytest.mark.parametrize(("vat", "rounding"), [("15.00", "0"), ("15.01", "0.01"), ("14.99", "-0.01")])
def test_vat_rounded_line_by_line_is_taken_over(vat: str, rounding: str) -> None:
    made = document(vat_amount=Decimal(vat), total=100 + Decimal(vat))
    assert made.vat_rounding == Decimal(rounding)
    assert (made.vat, made.total) == (Decimal(vat), 100 + Decimal(vat))


def test_vat_on_what_is_free_of_it_is_refused() -> None:
    line = a_line(vat_category=VatCategory.OUT_OF_SCOPE, vat_rate=Decimal(0), vat_amount=Decimal(0))
    with pytest.raises(UnrecoverableError, match=r"its VAT is 0\.01"):
        document(lines=[line], vat_amount=HALALA, total=Decimal("100.01"))


def test_reasons_for_no_vat_are_chosen_and_not_guessed() -> None:
    assert {category: reason.code for category, reason in read_exemptions({"Z": "VATEX-SA-33"}).items()} == {
        VatCategory.OUT_OF_SCOPE: "VATEX-SA-OOS",
        VatCategory.ZERO: "VATEX-SA-33",
    }


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ({"Z": "VATEX-SA-30"}, "there are VATEX-SA-32, VATEX-SA-33"),
        ({"S": "VATEX-SA-33"}, "must be Z, E or O"),
        ({"X": "y"}, "must be Z, E or O"),
    ],
)
def test_reasons_that_do_not_exist_are_refused(codes: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_exemptions(codes)


amounts = st.decimals("0", "1000000", places=2)


@given(weights=st.lists(amounts, min_size=1, max_size=8), share=st.integers(0, 100))
def test_a_discount_is_shared_out_to_the_halala(weights: list[Decimal], share: int) -> None:
    total = sum(weights, Decimal(0))
    amount = (total * share / 100).quantize(HALALA)
    shares = share_out(amount, weights)
    assert sum(shares, Decimal(0)) == amount
    assert all(0 <= part <= weight + HALALA for part, weight in zip(shares, weights, strict=True))


@given(st.text())
def test_text_is_made_fit_for_xml(text: str) -> None:
    made = one_line(text)
    element = etree.Element("x")
    element.text = made  # raises for what XML has no place for
    assert "\n" not in made
    assert made == made.strip()
