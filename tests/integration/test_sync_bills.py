"""Jobs of the type mudad-payment: a bill is paid only when whoever knows says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.support.records import add_client, add_firm, add_invoice
from tests.support.sync_jobs import ON_SQLITE, OTHER_FIRM, run

from toril.db.errors import RecordNotFoundError
from toril.db.models import Invoice, InvoiceStatus, Payment, PaymentStatus
from toril.db.session import Database
from toril.errors import ConfigurationError, NotConfiguredError, RetryableError, UnrecoverableError
from toril.queues.sync.choice import choose_vendors
from toril.queues.sync.definition import Vendors, sync_queue
from toril.queues.sync.sadad.door import BillDoor, BillShape
from toril.testing.vendors.bills import BILL, CLIENT_ID, CLIENT_SECRET, SHAPE, BillBank, bill
from toril.testing.vendors.server import HTML, Reply, VendorServer, vendor_server

NUMBER = "0042%2F7"  #: as it goes out in a path


class World:
    """A firm's payment by bill, and the bank that knows the bill."""

    def __init__(self, database: Database, server: VendorServer, bank: BillBank) -> None:
        self.database, self.server, self.bank = database, server, bank
        self.firm_id = self.payment_id = self.invoice_id = ""
        self.queue = self.open(CLIENT_SECRET)

    def open(self, secret: str, **options: Any) -> Any:
        door = BillDoor(
            BillShape.parse(**SHAPE),
            base_url=self.server.url,
            token_url=f"{self.server.url}/oauth2/token",
            client_id=CLIENT_ID,
            client_secret=secret,
            **options,
        )
        return sync_queue(database=self.database, vendors=Vendors(rates=(), bills=door))

    async def begin(self, **values: Any) -> None:
        async with self.database.session() as session:
            firm = await add_firm(session)
            client = await add_client(session, firm)
            invoice = await add_invoice(session, firm, client)
            payment = Payment(
                **{"firm_id": firm.id, "invoice_id": invoice.id, "amount": Decimal(115), "bill_number": BILL}
                | values
            )
            session.add(payment)
        self.firm_id, self.payment_id, self.invoice_id = firm.id, payment.id, invoice.id

    async def check(self, **changes: Any) -> dict[str, Any]:
        data = {"paymentId": self.payment_id, "firmId": self.firm_id} | changes
        return await run(self.queue, "mudad-payment", data)

    async def payment(self) -> Payment:
        async with self.database.reading() as session:
            return await session.get_one(Payment, self.payment_id)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    bank = BillBank()
    async with vendor_server(bank.answer) as server:
        made = World(database, server, bank)
        yield made
        await made.queue.close()


async def test_a_paid_bill_completes_its_payment_once_and_pays_the_invoice(world: World) -> None:
    await world.begin()
    world.bank.bills[NUMBER] = bill()
    first = await world.check()
    assert first == {
        "success": True,
        "paymentId": world.payment_id,
        "isPaid": True,
        "status": "completed",
        "review": None,
    }
    payment = await world.payment()
    assert (payment.paid_at, payment.paid_on) == (datetime(2026, 3, 1, 9, tzinfo=UTC), date(2026, 3, 1))
    assert payment.answer == bill()
    assert await world.check() == first
    async with world.database.reading() as session:
        invoice = await session.get_one(Invoice, world.invoice_id)
    assert (invoice.status, invoice.amount_paid) == (InvoiceStatus.PAID, Decimal(115))
    assert world.bank.tokens == 1


async def test_an_unpaid_bill_leaves_the_payment_pending(world: World) -> None:
    await world.begin()
    world.bank.bills[NUMBER] = bill("new", at=None)
    result = await world.check()
    assert (result["isPaid"], result["status"]) == (False, "pending")


@pytest.mark.parametrize("final", [PaymentStatus.COMPLETED, PaymentStatus.RECONCILED, PaymentStatus.REFUNDED])
async def test_an_unpaid_bill_does_not_take_a_payment_back(world: World, final: PaymentStatus) -> None:
    paid_at = datetime(2026, 2, 1, tzinfo=UTC)
    await world.begin(status=final, paid_at=paid_at)
    world.bank.bills[NUMBER] = bill("NEW")
    assert (await world.check())["status"] == final
    payment = await world.payment()
    assert (payment.status, payment.paid_at) == (final, paid_at)


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"total": 114.99}, "114.99 SAR"), ({"currency": "usd"}, "in USD, not in SAR")],
)
async def test_money_that_does_not_match_completes_nothing(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    await world.begin()
    world.bank.bills[NUMBER] = bill(**changes)
    result = await world.check()
    assert (result["isPaid"], result["status"]) == (False, "pending")
    assert reason in result["review"]


@ON_SQLITE
async def test_a_status_that_nobody_configured_is_never_taken_for_paid(world: World) -> None:
    await world.begin()
    world.bank.bills[NUMBER] = bill("PAID?")
    with pytest.raises(UnrecoverableError, match="neither among SADAD_PAID nor SADAD_UNPAID"):
        await world.check()
    payment = await world.payment()
    assert payment.status == "pending"
    assert payment.review is not None
    assert payment.answer == bill("PAID?")


@ON_SQLITE
@pytest.mark.parametrize(
    ("step", "wait"),
    [
        pytest.param(Reply(429, b"", {"retry-after": "6"}), 6, id="429"),
        pytest.param(Reply(500, {"code": "E020051"}), None, id="500"),
        pytest.param(HTML, None, id="a page"),
        pytest.param(Reply(200, b'{"bill": ['), None, id="cut JSON"),
        pytest.param(Reply(200, {"bill": []}), None, id="no status"),
        pytest.param(Reply(200, bill(total="much")), None, id="no amount"),
        pytest.param(Reply(200, bill(currency=None)), None, id="no currency"),
        pytest.param("drop", None, id="connection cut"),
    ],
)
async def test_a_passing_fault_is_tried_again(world: World, step: Reply | str, wait: float | None) -> None:
    await world.begin()
    world.bank.bills[NUMBER] = bill()
    world.server.script += ["work", step]
    with pytest.raises(RetryableError) as caught:
        await world.check()
    if wait is not None:
        assert wait <= (caught.value.retry_after or 0) <= wait * 1.25
    assert (await world.payment()).checked_at is None
    assert (await world.check())["isPaid"] is True


@ON_SQLITE
async def test_no_answer_in_time_is_tried_again(world: World) -> None:
    await world.begin()
    world.bank.bills[NUMBER] = bill()
    queue = world.open(CLIENT_SECRET, total_timeout=0.5)
    world.server.script += ["work", "hang"]
    with pytest.raises(RetryableError, match="did not answer"):
        await run(queue, "mudad-payment", {"paymentId": world.payment_id, "firmId": world.firm_id})
    await queue.close()
    assert (await world.payment()).checked_at is None


@ON_SQLITE
async def test_a_token_that_is_refused_twice_is_not_asked_for_again(world: World) -> None:
    await world.begin()
    world.bank.ended |= {"jwt-1", "jwt-2"}
    with pytest.raises(NotConfiguredError, match="Check SADAD_CLIENT_ID"):
        await world.check()
    assert world.bank.tokens == 2


@ON_SQLITE
async def test_a_token_that_has_ended_is_renewed_once(world: World) -> None:
    await world.begin()
    world.bank.bills[NUMBER] = bill()
    world.bank.ended.add("jwt-1")
    assert (await world.check())["isPaid"] is True
    assert world.bank.tokens == 2


@ON_SQLITE
async def test_refused_credentials_fail_at_once_and_are_not_shown(world: World) -> None:
    await world.begin()
    world.queue = world.open("not-the-secret")
    with pytest.raises(NotConfiguredError, match="Check SADAD_CLIENT_ID") as caught:
        await world.check()
    assert "not-the-secret" not in str(caught.value)


@ON_SQLITE
async def test_a_bill_that_the_bank_refuses_fails_at_once(world: World) -> None:
    await world.begin()
    with pytest.raises(UnrecoverableError, match="E620003"):
        await world.check()


@ON_SQLITE
async def test_a_payment_without_a_bill_is_not_asked_about(world: World) -> None:
    await world.begin(bill_number=None)
    with pytest.raises(UnrecoverableError, match="has no bill number"):
        await world.check()
    assert not world.server.requests


async def test_until_it_is_configured_the_job_fails_and_the_payment_stays(world: World) -> None:
    await world.begin()
    queue = sync_queue(database=world.database, vendors=choose_vendors())
    with pytest.raises(NotConfiguredError, match="set SADAD_URL"):
        await run(queue, "mudad-payment", {"paymentId": world.payment_id, "firmId": world.firm_id})
    await queue.close()
    payment = await world.payment()
    assert (payment.status, payment.checked_at) == ("pending", None)


async def test_another_firms_payment_is_not_found_and_not_asked_about(world: World) -> None:
    await world.begin()
    with pytest.raises(RecordNotFoundError, match="not found or access denied"):
        await world.check(firmId=OTHER_FIRM)
    assert not world.server.requests


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "field"), [({"paymentId": 7}, "paymentId"), ({"firmId": None}, "firmId"), ({"x": 1}, "x")]
)
async def test_a_bad_payload_names_the_field(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(UnrecoverableError, match=field):
        await world.check(**{"paymentId": OTHER_FIRM, "firmId": OTHER_FIRM} | changes)


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"path": "/bills"}, "SADAD_BILL_PATH"),
        ({"path": "bills/{bill}"}, "SADAD_BILL_PATH"),
        ({"fields": "status=/a"}, "SADAD_FIELDS"),
        ({"fields": "status=/a amount=b"}, "SADAD_FIELDS"),
        ({"fields": "status=/a amount=/b colour=/c"}, "SADAD_FIELDS"),
        ({"paid": " , "}, "SADAD_PAID"),
        ({"unpaid": "paid"}, "SADAD_UNPAID"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused(changes: dict[str, str], setting: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        BillShape.parse(**SHAPE | changes)


def test_settings_open_the_door_only_when_all_are_there() -> None:
    settings = {
        "sadad_url": "https://api.bank.example",
        "sadad_token_url": "https://auth.bank.example/token",
        "sadad_client_id": "a",
        "sadad_client_secret": "b",
        "sadad_bill_path": SHAPE["path"],
        "sadad_fields": SHAPE["fields"],
        "sadad_paid": SHAPE["paid"],
        "sadad_unpaid": SHAPE["unpaid"],
    }
    assert choose_vendors(**settings).bills is not None  # type: ignore[arg-type]
    for left_out in settings:
        partly = {name: value for name, value in settings.items() if name != left_out}
        with pytest.raises(ConfigurationError, match=left_out.upper()):
            choose_vendors(**partly)  # type: ignore[arg-type]
