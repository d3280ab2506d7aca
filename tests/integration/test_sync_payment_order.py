"""Whose money counts, in which currency, and in which order answers of a gateway are believed."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from tests.integration.test_sync_payments import World, world  # noqa: F401 - a fixture
from tests.support.records import add_client, add_firm, add_invoice
from tests.support.sync_jobs import ON_SQLITE, run

from toril.db.models import Invoice, InvoiceStatus, Payment, PaymentStatus
from toril.db.repositories.payments import Payments, ReviewDecision
from toril.db.types import utc_now
from toril.queues.sync.access.store import CredentialStore
from toril.queues.sync.choice import choose_vendors
from toril.queues.sync.definition import Vendors, sync_queue
from toril.testing.vendors.gateways import MOYASAR_KEY, hyperpay_payment, intent, moyasar_payment
from toril.testing.vendors.server import Reply, VendorRequest


async def paid_at_moyasar(world: World, **values: Any) -> None:  # noqa: F811
    await world.begin(provider="moyasar", provider_payment_id="3f0c", **values)
    world.gateways.payments["3f0c"] = moyasar_payment()


async def decide(world: World, decision: ReviewDecision, amount: str | None = None) -> Payment:  # noqa: F811
    async with world.database.session() as session:
        return await Payments(session).decide(
            world.payment_id,
            firm_id=world.firm_id,
            decision=decision,
            amount=None if amount is None else Decimal(amount),
            now=utc_now(),
            today=utc_now().date(),
        )


async def test_yen_pay_nothing_of_an_invoice_in_riyals(world: World) -> None:  # noqa: F811
    await world.begin(provider="moyasar", provider_payment_id="3f0c", currency="JPY")
    world.gateways.payments["3f0c"] = moyasar_payment(amount=115, currency="JPY")
    result = await world.check("moyasar")
    assert result["status"] == "completed"
    assert "in JPY and its invoice in SAR" in result["review"]
    invoice = await world.invoice()
    assert (invoice.status, invoice.amount_paid) == (InvoiceStatus.SENT, Decimal(0))


@ON_SQLITE
async def test_of_what_was_authorised_only_what_was_captured_counts(world: World) -> None:  # noqa: F811
    await paid_at_moyasar(world)
    world.gateways.payments["3f0c"] = moyasar_payment(status="captured", captured=5000)
    result = await world.check("moyasar")
    assert (result["status"], result["review"]) == ("pending", "the gateway has 50.00 SAR, not 115.00")
    await decide(world, ReviewDecision.COMPLETE, "50")
    assert (await world.check("moyasar"))["review"] is None
    assert (await world.invoice()).amount_paid == Decimal(50)


@ON_SQLITE
async def test_a_refund_at_hyperpay_is_not_taken_for_a_payment(world: World) -> None:  # noqa: F811
    await world.begin(provider="hyperpay", provider_payment_id="8ac7a4a1")
    world.gateways.payments["8ac7a4a1"] = hyperpay_payment(paymentType="RF")
    result = await world.check("hyperpay")
    assert result["status"] == "pending"
    assert "of the type RF" in result["review"]


async def test_an_older_answer_that_comes_late_does_not_undo_a_refund(world: World) -> None:  # noqa: F811
    await paid_at_moyasar(world)
    late, release = asyncio.Event(), asyncio.Event()
    service = world.server.answer

    async def answer(request: VendorRequest) -> Reply:
        found = service(request)
        assert isinstance(found, Reply)
        if not late.is_set():
            late.set()
            await release.wait()  # it is an answer of now, and is on its way for long
        return found

    world.server.answer = answer
    slow = asyncio.create_task(world.check("moyasar"))
    await late.wait()
    world.gateways.payments["3f0c"] = moyasar_payment(status="refunded", refunded=5000)
    await world.check("moyasar")
    release.set()
    await slow
    assert (await world.payment()).refunded_amount == Decimal(50)
    assert (await world.invoice()).amount_paid == Decimal(65)


async def test_more_refunded_than_there_was_is_for_a_person_and_no_error(world: World) -> None:  # noqa: F811
    await paid_at_moyasar(world)
    await world.check("moyasar")
    world.gateways.payments["3f0c"] = moyasar_payment(status="refunded", refunded=20000)
    result = await world.check("moyasar")
    assert result["review"] == "the gateway gave 200.00 SAR back, of 115.00"
    assert (await world.invoice()).amount_paid == Decimal(115)
    await decide(world, ReviewDecision.REFUND)
    assert (await world.payment()).status is PaymentStatus.REFUNDED
    assert (await world.invoice()).amount_paid == Decimal(0)


async def with_one_key_for_both(world: World, other_id: str) -> Vendors:  # noqa: F811
    """Both firms say that a gateway's account is theirs."""
    secret = "a secret of thirty-two characters or more"
    async with world.database.session() as session:
        for firm_id in (world.firm_id, other_id):
            store = CredentialStore([secret])
            await store.put(session, "moyasar", {"secretKey": MOYASAR_KEY}, firm_id=firm_id)
    return choose_vendors(moyasar_url=world.server.url, secrets=[secret])


async def test_money_pays_one_invoice_whatever_payments_claim_it(world: World) -> None:  # noqa: F811
    await paid_at_moyasar(world)
    async with world.database.session() as session:
        other = await add_firm(session)
        theirs = await add_invoice(session, other, await add_client(session, other))
        claim = Payment(
            firm_id=other.id, invoice_id=theirs.id, amount=Decimal(115), provider_payment_id="3f0c"
        )
        session.add(claim)
    queue = sync_queue(database=world.database, vendors=await with_one_key_for_both(world, other.id))
    for firm_id, payment_id, status, review in (
        (world.firm_id, world.payment_id, "completed", None),
        (other.id, claim.id, "pending", "the payment of this id at moyasar is another payment here"),
    ):
        data = {"paymentId": payment_id, "paymentProvider": "mada", "firmId": firm_id}
        result = await run(queue, "payment-status", data)
        assert (result["status"], result["review"]) == (status, review)
    await queue.close()
    async with world.database.reading() as session:
        assert (await session.get_one(Invoice, theirs.id)).amount_paid == 0


async def test_of_two_claims_at_once_one_is_paid(world: World) -> None:  # noqa: F811
    await world.begin(provider_payment_id="3f0c")
    world.gateways.payments["3f0c"] = moyasar_payment()
    async with world.database.session() as session:
        claim = Payment(firm_id=world.firm_id, amount=Decimal(115), provider_payment_id="3f0c")
        session.add(claim)
    checks = [world.check("moyasar"), world.check("moyasar", paymentId=claim.id)]
    results = await asyncio.gather(*checks, return_exceptions=True)
    async with world.database.reading() as session:
        statuses = [(await session.get_one(Payment, each)).status for each in (world.payment_id, claim.id)]
    assert sorted(statuses) == ["completed", "pending"], results


@ON_SQLITE
async def test_a_review_ends_when_the_gateway_says_what_is_right(world: World) -> None:  # noqa: F811
    await world.begin(provider="stripe", provider_payment_id="pi_1")
    world.gateways.payments["pi_1"] = intent(amount_received=100)
    assert (await world.check("stripe"))["review"] is not None
    world.gateways.payments["pi_1"] = intent()
    result = await world.check("stripe")
    assert (result["status"], result["review"]) == ("completed", None)
    assert (await world.payment()).review is None


@ON_SQLITE
async def test_a_capture_that_was_voided_is_for_a_person(world: World) -> None:  # noqa: F811
    await paid_at_moyasar(world)
    await world.check("moyasar")
    world.gateways.payments["3f0c"] = moyasar_payment(status="voided")
    result = await world.check("moyasar")
    assert (result["status"], result["review"]) == (
        "completed",
        "the gateway says cancelled (voided), and the payment was completed",
    )
    await decide(world, ReviewDecision.FAIL)
    assert (await world.check("moyasar"))["review"] is None
    assert (await world.invoice()).amount_paid == 0


@ON_SQLITE
@pytest.mark.parametrize("decision", [ReviewDecision.KEEP, ReviewDecision.FAIL])
async def test_what_a_person_decided_is_not_asked_again_nor_undone(
    world: World,  # noqa: F811
    decision: ReviewDecision,
) -> None:
    await world.begin(provider="stripe", provider_payment_id="pi_1")
    world.gateways.payments["pi_1"] = intent(charge={"disputed": True})
    await world.check("stripe")
    decided = await decide(world, decision)
    assert decided.review is None
    result = await world.check("stripe")
    assert (result["status"], result["review"]) == (decided.status, None)
