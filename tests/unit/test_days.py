"""Days in payloads are read by one rule, wherever they stand, and begin at one midnight."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from toril.queues.currencies import decimals_of
from toril.queues.days import Day, day_in, midnight
from toril.queues.email.fields import Day as MailDay
from toril.queues.email.formats import money
from toril.queues.pdf.fields import moment
from toril.queues.pdf.formats import amount
from toril.queues.report.payloads import Financial
from toril.queues.sync.payloads import BankSync

ID = "5" * 24
RIYADH = ZoneInfo("Asia/Riyadh")

#: The first of March in Riyadh, which begins at 21:00 of the day before in UTC.
SAME = [
    "2026-03-01",
    " 2026-03-01 ",
    "2026-02-28T21:00:00.000Z",
    "2026-03-01T00:00:00+03:00",
    "2026-03-01T20:59:59.999Z",
    1_772_312_400_000,
    1_772_312_400_000.0,
    date(2026, 3, 1),
    datetime(2026, 2, 28, 22, tzinfo=UTC),
]


def of_report(value: Any) -> date | datetime:
    return Financial.model_validate({"firmId": ID, "startDate": value, "endDate": "2026-12-01"}).start_date


def of_sync(value: Any) -> date | datetime:
    found = BankSync.model_validate({"firmId": ID, "bankAccountId": ID, "startDate": value}).start_date
    assert found is not None
    return found


@pytest.mark.parametrize("read", [of_report, of_sync])
@pytest.mark.parametrize("value", SAME, ids=str)
def test_a_day_is_the_same_however_it_is_written(read: Any, value: Any) -> None:
    assert day_in(read(value), RIYADH) == date(2026, 3, 1)


@pytest.mark.parametrize(
    "value",
    [None, True, "", "yesterday", "2026-02-30", 20260301, 1_772_312_400, "2026-03-01T00:00:00", float("nan"), 1e300,
     "0001-01-01T00:00:00+03:00", "9999-12-31T23:59:59-11:00", 10**18, "1" * 1000, [], {}],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
@pytest.mark.parametrize("read", [of_report, of_sync, TypeAdapter(Day).validate_python])
def test_what_is_no_day_is_refused_by_all(read: Any, value: Any) -> None:
    if value is None and read is of_sync:
        return  # leaves it out
    with pytest.raises(ValidationError):
        read(value)


def test_days_of_a_bank_are_in_order_whichever_way_they_are_written() -> None:
    own = {"firmId": ID, "bankAccountId": ID}
    with pytest.raises(ValidationError, match="before startDate"):
        BankSync.model_validate({**own, "startDate": "2026-03-02", "endDate": "2026-03-01"})
    with pytest.raises(ValidationError, match="before startDate"):
        BankSync.model_validate({**own, "startDate": 1_772_398_800_000, "endDate": 1_772_312_400_000})
    BankSync.model_validate(
        {**own, "startDate": "2026-03-01", "endDate": "2026-02-28T21:00:00Z"}
    )  # the same day


def test_milliseconds_are_taken_by_mail_and_documents_too() -> None:
    for ms in (1_772_312_400_000, 1_772_312_400_000.0):
        assert moment(ms) == datetime(2026, 3, 1, tzinfo=RIYADH)
        assert day_in(TypeAdapter(MailDay).validate_python(ms), RIYADH) == date(2026, 3, 1)


def test_midnight_is_where_the_clock_says_so() -> None:
    assert midnight(date(2026, 3, 1), RIYADH) == datetime(2026, 2, 28, 21, tzinfo=UTC)
    berlin = ZoneInfo("Europe/Berlin")
    length = midnight(date(2026, 3, 30), berlin) - midnight(date(2026, 3, 29), berlin)
    assert length == timedelta(hours=23)


@pytest.mark.parametrize("currency", ["SAR", "KWD", "OMR", "JPY", "IQD"])
def test_mails_and_documents_have_the_decimals_that_are_counted_with(currency: str) -> None:
    wanted = Decimal(1).scaleb(-decimals_of(currency))
    text = f"{Decimal(1234).quantize(wanted):,f}"
    assert money(Decimal(1234), currency, "en") == f"{currency} {text}"
    assert amount(Decimal(1234), currency, "latin") == text
