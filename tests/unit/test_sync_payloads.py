"""What jobs of the queue ``sync`` may carry: every type, with each field missing, of a wrong kind, and too long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from toril.db.session import Database
from toril.errors import PayloadError
from toril.queues.base import QueueDefinition
from toril.queues.planned import PLANNED
from toril.queues.sync.definition import Vendors, sync_queue

ID = "507f1f77bcf86cd799439011"
LONG = "9" * 100_000

#: An acceptable job of each type, and which of its fields may be left out.
GOOD: dict[str, tuple[dict[str, Any], set[str]]] = {
    "whatsapp-messages": ({"firmId": ID, "phoneNumberId": "106540352242922"}, set()),
    "bank-transactions": (
        {"firmId": ID, "bankAccountId": ID, "startDate": "2026-01-01", "endDate": "2026-01-31"},
        {"startDate", "endDate"},
    ),
    "payment-status": ({"paymentId": ID, "paymentProvider": "stripe", "firmId": ID}, set()),
    "zatca-invoice": ({"invoiceId": ID, "firmId": ID}, set()),
    "whatsapp-inbox": ({}, set()),
    "zatca-pending": ({}, set()),
    "mudad-payment": ({"paymentId": ID, "firmId": ID}, set()),
    "wathq-contract": ({"contractId": ID, "firmId": ID}, set()),
    "currency-rates": ({"baseCurrency": "SAR"}, {"baseCurrency"}),
}
FIELDS = [(kind, field) for kind, (data, _) in GOOD.items() for field in data]


@pytest.fixture
def queue(tmp_path: Path) -> QueueDefinition:
    return sync_queue(database=Database(home=tmp_path), vendors=Vendors(rates=()))


def refusal(queue: QueueDefinition, kind: str, data: Any) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        queue.check({"type": kind, "data": data})
    assert f"{kind!r} is not acceptable" in str(caught.value)
    assert len(str(caught.value)) < 1000
    return caught.value


def test_the_table_has_every_type(queue: QueueDefinition) -> None:
    assert set(GOOD) == set(queue.types)


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_asked_for_is_taken(queue: QueueDefinition, kind: str) -> None:
    data, optional = GOOD[kind]
    queue.check({"type": kind, "data": data})
    queue.check({"type": kind, "data": {name: value for name, value in data.items() if name not in optional}})


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_field_that_is_missing_is_named(queue: QueueDefinition, kind: str, field: str) -> None:
    data, optional = GOOD[kind]
    rest = {name: value for name, value in data.items() if name != field}
    if field in optional:
        queue.check({"type": kind, "data": rest})
    else:
        assert refusal(queue, kind, rest).field == field


@pytest.mark.parametrize(
    "value", [7, True, 1.5, [], {}, ["507f1f77bcf86cd799439011"], "", " ", "a\0b", "x" * 24, LONG]
)
@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_value_that_cannot_be_is_refused(queue: QueueDefinition, kind: str, field: str, value: Any) -> None:
    assert refusal(queue, kind, GOOD[kind][0] | {field: value}).field == field


@pytest.mark.parametrize(("kind", "field"), [each for each in FIELDS if each[1] not in GOOD[each[0]][1]])
def test_null_is_no_value(queue: QueueDefinition, kind: str, field: str) -> None:
    assert refusal(queue, kind, GOOD[kind][0] | {field: None}).field == field


@pytest.mark.parametrize("kind", GOOD)
def test_a_field_that_nobody_knows_is_named(queue: QueueDefinition, kind: str) -> None:
    assert refusal(queue, kind, GOOD[kind][0] | {"firm_Id": ID}).field == "firm_Id"


@pytest.mark.parametrize("data", [None, [], "x", 7])
@pytest.mark.parametrize("kind", GOOD)
def test_data_that_is_no_object_is_refused(queue: QueueDefinition, kind: str, data: Any) -> None:
    refusal(queue, kind, data)


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        ("bank-transactions", {"startDate": "2026-02-01"}, "endDate"),
        ("bank-transactions", {"startDate": "2026-02-30"}, "startDate"),
        ("bank-transactions", {"endDate": "2026-01-31T10:00:00"}, "endDate"),
        ("bank-transactions", {"endDate": "1066-10-14"}, "endDate"),
        ("payment-status", {"paymentProvider": "Stripe "}, "paymentProvider"),
        ("payment-status", {"paymentProvider": "paypal"}, "paymentProvider"),
        ("whatsapp-messages", {"phoneNumberId": "../me"}, "phoneNumberId"),
        ("currency-rates", {"baseCurrency": "XXX"}, "baseCurrency"),
    ],
)
def test_what_is_well_formed_and_wrong_is_refused(
    queue: QueueDefinition, kind: str, changes: dict[str, Any], field: str
) -> None:
    assert refusal(queue, kind, GOOD[kind][0] | changes).field == field


def test_ids_are_taken_as_node_writes_them(queue: QueueDefinition) -> None:
    _, payload = queue.check(
        {"type": "zatca-invoice", "data": {"invoiceId": ID.upper(), "firmId": f" {ID} "}}
    )
    assert payload.model_dump() == {"invoice_id": ID, "firm_id": ID}


def test_what_is_planned_is_taken(queue: QueueDefinition) -> None:
    planned = [each for each in PLANNED if each.queue == "sync"]
    assert {each.type for each in planned} == {"currency-rates", "whatsapp-inbox", "zatca-pending"}
    for each in planned:
        queue.check({"type": each.type, "data": dict(each.data)})
