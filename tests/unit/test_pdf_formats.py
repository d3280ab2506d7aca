"""Amounts, quantities and dates as they are printed, in both kinds of digits."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from toril.queues.pdf import formats
from toril.queues.pdf.fields import RIYADH
from toril.queues.pdf.formats import Digits


@pytest.mark.parametrize(
    ("value", "currency", "digits", "printed"),
    [
        ("1234567.5", "SAR", "latin", "1,234,567.50"),
        ("1234567.5", "SAR", "arabic", "١٬٢٣٤٬٥٦٧٫٥٠"),
        ("0.005", "SAR", "latin", "0.01"),
        ("172.49999999999997", "SAR", "latin", "172.50"),
        ("-375", "SAR", "latin", "-375.00"),
        ("999999999999.99", "SAR", "latin", "999,999,999,999.99"),
        ("12.3456", "KWD", "latin", "12.346"),
        ("1234.5", "JPY", "latin", "1,235"),
    ],
)
def test_an_amount_has_the_coins_of_its_currency(
    value: str, currency: str, digits: Digits, printed: str
) -> None:
    assert formats.amount(Decimal(value), currency, digits) == printed


@pytest.mark.parametrize(
    ("value", "digits", "printed"),
    [
        ("6", "latin", "6"),
        ("12.50", "latin", "12.5"),
        ("1E+3", "latin", "1,000"),
        ("0.3333333333", "latin", "0.333333"),
        ("12.5", "arabic", "١٢٫٥"),
    ],
)
def test_a_quantity_has_no_zeros_at_the_end(value: str, digits: Digits, printed: str) -> None:
    assert formats.number(Decimal(value), digits) == printed


def test_a_rate_has_the_sign_of_its_digits() -> None:
    assert formats.percent(Decimal("15.00"), "latin") == "15%"
    assert formats.percent(Decimal(15), "arabic") == "١٥٪"


def test_a_date_reads_the_same_in_both_languages() -> None:
    moment = datetime(2025, 1, 31, 23, 59, tzinfo=RIYADH)

    assert formats.day(moment, "latin") == "2025-01-31"
    assert formats.day(moment, "arabic") == "٢٠٢٥-٠١-٣١"
