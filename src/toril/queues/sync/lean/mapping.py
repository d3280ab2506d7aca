"""One of Lean's transactions as a row of ours."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final

from toril.db.models.banking import Direction
from toril.db.types import MONEY_SCALE
from toril.queues.currencies import decimals_of
from toril.queues.sync.kept import kept, plain
from toril.queues.sync.moments import moment_of

_DIRECTIONS: Final = {"CREDIT": Direction.CREDIT, "DEBIT": Direction.DEBIT}
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_LARGEST: Final = Decimal(10) ** 15


class UnreadableError(Exception):
    """A transaction is not one that can be kept; says why."""


def is_rejected(transaction: dict[str, Any]) -> bool:
    """Whether the bank turned it down, so that no money moved."""
    return (
        _regional(transaction).get("transaction_status", _regional(transaction).get("status")) == "REJECTED"
    )


def read_transaction(transaction: dict[str, Any], *, zone: tzinfo) -> dict[str, Any]:
    """Attributes of ``BankTransaction``, the same for each.

    Args:
        zone: the firm's; days are counted in it.

    Raises:
        UnreadableError: something that must be there is not.
    """
    amount, currency = _amount(transaction)
    direction = _DIRECTIONS.get(str(transaction.get("credit_debit_indicator")))
    if direction is None:
        raise UnreadableError(
            f"it is neither credit nor debit: {transaction.get('credit_debit_indicator')!r}"
        )
    booked_at = _moment(transaction)
    regional = _regional(transaction)
    status = regional.get("transaction_status", regional.get("status"))
    return {
        "provider_transaction_id": _id(transaction),
        "direction": direction,
        "amount": amount,
        "currency": currency,
        "balance": _balance(transaction),
        "booked_on": booked_at.astimezone(zone).date(),
        "booked_at": booked_at,
        "description": plain(transaction.get("transaction_information")) or "",
        "reference": plain(transaction.get("transaction_reference")),
        "category": plain(_object(transaction, "insights").get("category")),
        "payee": _payee(regional),
        "settled": status != "PENDING" and transaction.get("transaction_mutability") != "MUTABLE",
        "raw": kept(transaction),
    }


def _id(transaction: dict[str, Any]) -> str:
    found = transaction.get("transaction_id")
    if not isinstance(found, str) or not 0 < len(found) <= 128 or "\0" in found:
        raise UnreadableError("it has no id that can be kept")
    return found


def _amount(transaction: dict[str, Any]) -> tuple[Decimal, str]:
    money = _object(transaction, "amount")
    amount, currency = _decimal(money.get("amount")), money.get("currency")
    if amount is None or amount < 0:
        raise UnreadableError(f"its amount is {str(money.get('amount'))[:40]!r}")
    if not isinstance(currency, str) or _CURRENCY.fullmatch(currency) is None:
        raise UnreadableError("it has no currency")
    if amount != round(amount, decimals_of(currency)):  # a part of the smallest coin is a misread amount
        raise UnreadableError(f"its amount is {str(money.get('amount'))[:40]!r}")
    return amount, currency


def _balance(transaction: dict[str, Any]) -> Decimal | None:
    balance = _object(transaction, "balance")
    amount = _decimal(_object(balance, "amount").get("amount"))
    if amount is None:
        return None
    return -abs(amount) if balance.get("credit_debit_indicator") == "DEBIT" else amount


def _decimal(value: Any) -> Decimal | None:
    """With as many decimals as money has; None for what is no such number."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    exact = Decimal(value)
    if not -_LARGEST < exact < _LARGEST:
        return None
    rounded = round(exact, MONEY_SCALE)
    return rounded if rounded == exact else None


def _moment(transaction: dict[str, Any]) -> datetime:
    for value in (transaction.get("booking_date_time"), _regional(transaction).get("value_date_time")):
        if isinstance(value, str) and (found := moment_of(value, zone=UTC)) is not None:
            return found
    raise UnreadableError("it does not say when it was booked")


def _payee(regional: dict[str, Any]) -> str | None:
    for key in ("merchant", "merchant_details", "counterparty", "creditor", "beneficiary"):
        found = regional.get(key)
        if isinstance(found, dict):
            found = found.get("name") or found.get("merchant_name")
        if isinstance(found, str) and found.strip():
            return plain(found)
    return None


def _regional(transaction: dict[str, Any]) -> dict[str, Any]:
    return _object(_object(transaction, "regional_data"), "data")


def _object(part: dict[str, Any], key: str) -> dict[str, Any]:
    found = part.get(key)
    return found if isinstance(found, dict) else {}
