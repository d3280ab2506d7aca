"""Jobs of the type payment-status against each gateway: what a payment becomes, and what it never does."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob
from tests.support.notification_tls import authority, client_tls
from tests.support.records import add_client, add_firm, add_invoice
from tests.support.sync_jobs import ON_SQLITE, OTHER_FIRM, run

from toril.db.errors import RecordNotFoundError
from toril.db.models import Invoice, InvoiceStatus, Payment, PaymentStatus
from toril.db.session import Database
from toril.errors import ConfigurationError, NotConfiguredError, RetryableError, UnrecoverableError
from toril.queues.sync.certificates import client_certificate
from toril.queues.sync.choice import choose_vendors
from toril.queues.sync.definition import Vendors, sync_queue
from toril.queues.sync.payments.gateway import PaymentGateway
from toril.queues.sync.payments.hyperpay import HyperPay
from toril.queues.sync.payments.moyasar import Moyasar
from toril.queues.sync.payments.stcpay import StcPay
from toril.queues.sync.payments.stripe import Stripe
from toril.testing.vendors.gateways import (
    HYPERPAY_ENTITY,
    HYPERPAY_TOKEN,
    MOYASAR_KEY,
    STCPAY_CODE,
    STRIPE_KEY,
    Gateways,
    hyperpay_payment,
    intent,
    moyasar_payment,
    stc_row,
)
from toril.testing.vendors.server import HTML, Reply, VendorServer, vendor_server

PAID_AT = datetime(2026, 3, 1, 9, tzinfo=UTC)

#: Each gateway: what jobs call it, the client, its id of a payment, and that payment as paid.
MAKERS: dict[str, tuple[str, Callable[[str], PaymentGateway], str, Callable[..., Any]]] = {
    "stripe": ("stripe", lambda url: Stripe(STRIPE_KEY, base_url=url), "pi_1", intent),
    "moyasar": ("mada", lambda url: Moyasar(MOYASAR_KEY, base_url=url), "3f0c", moyasar_payment),
    "hyperpay": (
        "mada",
        lambda url: HyperPay(HYPERPAY_TOKEN, HYPERPAY_ENTITY, base_url=url),
        "8ac7a4a1",
        hyperpay_payment,
    ),
    "stcpay": (
        "stcpay",
        lambda url: StcPay(STCPAY_CODE, ssl.create_default_context(), base_url=url),
        "PAY-1",
        lambda: [stc_row("PAY-1")],
    ),
}
EACH = pytest.mark.parametrize("name", MAKERS)


class World:
    """A firm with an invoice of 115 riyals and a payment of it, and the gateways."""

    def __init__(self, database: Database, server: VendorServer, gateways: Gateways) -> None:
        self.database, self.server, self.gateways = database, server, gateways
        self.firm_id = self.payment_id = self.invoice_id = ""

    async def begin(self, **values: Any) -> None:
        async with self.database.session() as session:
            firm = await add_firm(session)
            client = await add_client(session, firm)
            invoice = await add_invoice(session, firm, client)
            payment = Payment(
                **{
                    "firm_id": firm.id,
                    "client_id": client.id,
                    "invoice_id": invoice.id,
                    "amount": Decimal(115),
                }
                | values
            )
            session.add(payment)
        self.firm_id, self.payment_id, self.invoice_id = firm.id, payment.id, invoice.id

    async def check(
        self, name: str, *, gateway: PaymentGateway | None = None, job: PlainJob | None = None, **changes: Any
    ) -> dict[str, Any]:
        asked, make, _, _ = MAKERS[name]
        vendors = Vendors(rates=(), gateways={asked: gateway or make(self.server.url)})
        queue = sync_queue(database=self.database, vendors=vendors)
        data = {"paymentId": self.payment_id, "paymentProvider": asked, "firmId": self.firm_id} | changes
        try:
            return await run(queue, "payment-status", data, job=job)
        finally:
            await queue.close()

    async def payment(self) -> Payment:
        async with self.database.reading() as session:
            return await session.get_one(Payment, self.payment_id)

    async def invoice(self) -> Invoice:
        async with self.database.reading() as session:
            return await session.get_one(Invoice, self.invoice_id)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    gateways = Gateways()
    async with vendor_server(gateways.answer) as server:
        yield World(database, server, gateways)


@EACH
async def test_a_paid_payment_is_completed_once_and_pays_its_invoice(world: World, name: str) -> None:
    _, _, their_id, paid = MAKERS[name]
    await world.begin(provider=name, provider_payment_id=their_id)
    world.gateways.payments[their_id] = paid()
    job = PlainJob(None)
    first = await world.check(name, job=job)
    assert first["success"] is True
    assert (first["paymentId"], first["provider"]) == (world.payment_id, name)
    assert (first["status"], first["review"]) == ("completed", None)
    assert job.progress[-1] == 100
    payment = await world.payment()
    assert (payment.status, payment.paid_at, payment.paid_on) == ("completed", PAID_AT, date(2026, 3, 1))
    assert payment.answer is not None
    assert str(payment.answer)
    assert await world.check(name) == first
    invoice = await world.invoice()
    assert (invoice.status, invoice.amount_paid) == (InvoiceStatus.PAID, Decimal(115))


STATES = [
    ("stripe", intent(status="requires_action", amount_received=0), "pending"),
    ("stripe", intent(status="requires_payment_method"), "pending"),
    (
        "stripe",
        intent(status="requires_payment_method", last_payment_error={"code": "card_declined"}),
        "failed",
    ),
    ("stripe", intent(status="requires_capture"), "processing"),
    ("stripe", intent(status="canceled"), "cancelled"),
    ("stripe", intent(charge={"refunded": True, "amount_refunded": 11500}), "refunded"),
    ("moyasar", moyasar_payment(status="initiated"), "pending"),
    ("moyasar", moyasar_payment(status="authorized"), "processing"),
    ("moyasar", moyasar_payment(status="captured"), "completed"),
    ("moyasar", moyasar_payment(status="failed"), "failed"),
    ("moyasar", moyasar_payment(status="voided"), "cancelled"),
    ("moyasar", moyasar_payment(status="refunded", refunded=11500), "refunded"),
    ("hyperpay", hyperpay_payment("000.400.110"), "completed"),
    ("hyperpay", hyperpay_payment("000.300.000"), "completed"),
    ("hyperpay", hyperpay_payment(paymentType="PA"), "processing"),
    ("hyperpay", hyperpay_payment("000.200.000"), "pending"),
    ("hyperpay", hyperpay_payment("800.400.500"), "pending"),
    ("hyperpay", hyperpay_payment("800.100.152"), "failed"),
    ("stcpay", [stc_row("PAY-1", "Pending")], "pending"),
    ("stcpay", [stc_row("PAY-1", "Cancelled")], "cancelled"),
    ("stcpay", [stc_row("PAY-1", "Expired")], "failed"),
    ("stcpay", [stc_row("PAY-1", "Expired"), stc_row("PAY-1"), stc_row("PAY-1", "Pending")], "completed"),
]


@ON_SQLITE
@pytest.mark.parametrize(("name", "known", "status"), STATES)
async def test_what_a_gateway_says_becomes_one_of_our_states(
    world: World, name: str, known: Any, status: str
) -> None:
    their_id = MAKERS[name][2]
    await world.begin(provider=name, provider_payment_id=their_id)
    world.gateways.payments[their_id] = known
    assert (await world.check(name))["status"] == status
    assert (await world.payment()).status == status


@ON_SQLITE
@pytest.mark.parametrize(
    ("name", "known", "reason"),
    [
        ("stripe", intent(amount_received=11499), "114.99 SAR, not 115"),
        ("stripe", intent(currency="usd"), "in USD, not in SAR"),
        ("stripe", intent(metadata={"payment_id": "507f1f77bcf86cd799439099"}), "as the payment '507f"),
        ("stripe", intent(status="on_the_moon"), "not known here: on_the_moon"),
        ("moyasar", moyasar_payment(amount=115), "1.15 SAR"),
        ("moyasar", moyasar_payment(metadata={"payment_id": "INV-9"}), "as the payment 'INV-9'"),
        ("moyasar", moyasar_payment(status="verified"), "none of a payment: verified"),
        ("hyperpay", hyperpay_payment(amount="11500.00"), "11500.00 SAR"),
        ("hyperpay", hyperpay_payment("000.100.110"), "its test system only"),
        ("hyperpay", hyperpay_payment("000.100.200"), "chargeback"),
        ("stcpay", [stc_row("PAY-1", Amount=1)], "has 1 SAR"),
    ],
)
async def test_what_does_not_match_completes_nothing_and_asks_for_a_person(
    world: World, name: str, known: Any, reason: str
) -> None:
    their_id = MAKERS[name][2]
    await world.begin(provider=name, provider_payment_id=their_id)
    world.gateways.payments[their_id] = known
    result = await world.check(name)
    assert reason in result["review"]
    assert result["status"] == "pending"
    payment = await world.payment()
    assert (payment.status, payment.paid_at, payment.review) == ("pending", None, result["review"])
    assert (await world.invoice()).amount_paid == 0
    assert payment.answer is not None


async def test_a_refund_of_a_part_is_noted_and_owed_again(world: World) -> None:
    await world.begin(provider="moyasar", provider_payment_id="3f0c", status=PaymentStatus.RECONCILED)
    world.gateways.payments["3f0c"] = moyasar_payment(status="refunded", refunded=1500)
    assert (await world.check("moyasar"))["status"] == "reconciled"
    assert (await world.payment()).refunded_amount == Decimal(15)
    assert (await world.invoice()).amount_paid == Decimal(100)


@pytest.mark.parametrize("final", [PaymentStatus.RECONCILED, PaymentStatus.REFUNDED, PaymentStatus.COMPLETED])
async def test_a_final_state_is_not_moved_back(world: World, final: PaymentStatus) -> None:
    paid_at = datetime(2026, 2, 1, tzinfo=UTC)
    await world.begin(provider="stripe", provider_payment_id="pi_1", status=final, paid_at=paid_at)
    world.gateways.payments["pi_1"] = intent(status="requires_action")
    assert (await world.check("stripe"))["status"] == final
    payment = await world.payment()
    assert (payment.status, payment.paid_at) == (final, paid_at)
    assert payment.answer is not None
    assert payment.answer["status"] == "requires_action"


@EACH
async def test_without_a_gateway_the_job_says_what_to_set(world: World, name: str) -> None:
    await world.begin(provider=name, provider_payment_id="x")
    queue = sync_queue(database=world.database, vendors=Vendors(rates=()))
    data = {"paymentId": world.payment_id, "paymentProvider": MAKERS[name][0], "firmId": world.firm_id}
    with pytest.raises(NotConfiguredError, match="_SECRET_KEY"):
        await run(queue, "payment-status", data)
    assert (await world.payment()).checked_at is None


@ON_SQLITE
@pytest.mark.parametrize(
    ("name", "gateway"),
    [
        ("stripe", lambda url: Stripe("sk_live_expired", base_url=url)),
        ("moyasar", lambda url: Moyasar("sk_live_expired", base_url=url)),
        ("hyperpay", lambda url: HyperPay("sk_live_expired", HYPERPAY_ENTITY, base_url=url)),
        ("hyperpay", lambda url: HyperPay(HYPERPAY_TOKEN, "sk_live_expired", base_url=url)),
        ("stcpay", lambda url: StcPay("sk_live_expired", ssl.create_default_context(), base_url=url)),
    ],
)
async def test_refused_credentials_fail_at_once_and_are_not_shown(
    world: World, name: str, gateway: Callable[[str], PaymentGateway]
) -> None:
    _, _, their_id, paid = MAKERS[name]
    await world.begin(provider=name, provider_payment_id=their_id)
    world.gateways.payments[their_id] = paid()
    with pytest.raises(NotConfiguredError, match="Check ") as caught:
        await world.check(name, gateway=gateway(world.server.url))
    assert "sk_live_expired" not in str(caught.value)
    assert (await world.payment()).status == "pending"


@ON_SQLITE
@EACH
@pytest.mark.parametrize(
    ("step", "wait"),
    [
        pytest.param(Reply(429, {"message": "slow down"}, {"retry-after": "7"}), 7, id="429"),
        pytest.param(Reply(503, b""), None, id="503"),
        pytest.param(Reply(500, b"<html>oops</html>"), None, id="500"),
        pytest.param(HTML, None, id="a page"),
        pytest.param(Reply(200, b'{"id": "pi_1", "sta'), None, id="cut JSON"),
        pytest.param(Reply(200, {"id": "somebody else's"}), None, id="another payment"),
        pytest.param("drop", None, id="connection cut"),
    ],
)
async def test_a_passing_fault_is_tried_again(
    world: World, name: str, step: Reply | str, wait: float | None
) -> None:
    _, _, their_id, paid = MAKERS[name]
    await world.begin(provider=name, provider_payment_id=their_id)
    world.gateways.payments[their_id] = paid()
    world.server.script.append(step)
    with pytest.raises(RetryableError) as caught:
        await world.check(name)
    if wait is not None:
        assert wait <= (caught.value.retry_after or 0) <= wait * 1.25
    assert (await world.payment()).checked_at is None
    assert (await world.check(name))["status"] == "completed"


@ON_SQLITE
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("800.120.100", RetryableError),
        ("900.100.300", RetryableError),
        ("999.999.999", RetryableError),
        ("800.900.300", NotConfiguredError),
        ("200.300.404", UnrecoverableError),
        ("600.200.500", UnrecoverableError),
    ],
)
async def test_result_codes_about_the_question_change_no_payment(
    world: World, code: str, error: type[Exception]
) -> None:
    await world.begin(provider="hyperpay", provider_payment_id="8ac7a4a1")
    world.gateways.payments["8ac7a4a1"] = hyperpay_payment(code)
    with pytest.raises(error, match=code):
        await world.check("hyperpay")
    assert (await world.payment()).checked_at is None


@ON_SQLITE
@EACH
async def test_a_payment_that_the_gateway_does_not_know_fails_at_once(world: World, name: str) -> None:
    await world.begin(provider=name, provider_payment_id=MAKERS[name][2])
    with pytest.raises(UnrecoverableError) as caught:
        await world.check(name)
    assert not isinstance(caught.value, NotConfiguredError)


@ON_SQLITE
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"provider": "stripe"}, "has no id of Stripe"),
        ({"provider": "stripe", "provider_payment_id": "../customers/cus_1"}, "none of Stripe's"),
        ({"provider": "moyasar", "provider_payment_id": "3f0c"}, "was made with moyasar"),
    ],
)
async def test_a_payment_that_cannot_be_looked_up_is_not_asked_about(
    world: World, values: dict[str, Any], reason: str
) -> None:
    await world.begin(**values)
    with pytest.raises(UnrecoverableError, match=reason):
        await world.check("stripe")
    assert not world.server.requests


async def test_another_firms_payment_is_not_found_and_not_asked_about(world: World) -> None:
    await world.begin(provider="stripe", provider_payment_id="pi_1")
    world.gateways.payments["pi_1"] = intent()
    with pytest.raises(RecordNotFoundError, match="not found or access denied"):
        await world.check("stripe", firmId=OTHER_FIRM)
    assert not world.server.requests
    assert (await world.payment()).checked_at is None


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"paymentProvider": "paypal"}, "paymentProvider"),
        ({"paymentProvider": None}, "paymentProvider"),
        ({"paymentId": "1"}, "paymentId"),
        ({"firmId": 7}, "firmId"),
        ({"amount": 1}, "amount"),
    ],
)
async def test_a_bad_payload_names_the_field(world: World, changes: dict[str, Any], field: str) -> None:
    await world.begin()
    with pytest.raises(UnrecoverableError, match=field):
        await world.check("stripe", **changes)


@ON_SQLITE
async def test_stc_pay_is_asked_with_the_merchants_certificate(world: World, tmp_path: Path) -> None:
    leaf = authority().issue_cert("merchant.example")
    certificate, key = tmp_path / "merchant.pem", tmp_path / "merchant.key"
    certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
    key.write_bytes(leaf.private_key_pem.bytes())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("127.0.0.1").configure_cert(tls)
    authority().configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    await world.begin(provider="stcpay")
    world.gateways.payments[world.payment_id] = [stc_row(world.payment_id)]
    async with vendor_server(world.gateways.answer, tls=tls) as server:
        ours = client_certificate(certificate, key)
        authority().configure_trust(ours)
        assert (await world.check("stcpay", gateway=StcPay(STCPAY_CODE, ours, base_url=server.url)))[
            "status"
        ] == "completed"
        stranger = StcPay(STCPAY_CODE, client_tls(), base_url=server.url)
        with pytest.raises(RetryableError):
            await world.check("stcpay", gateway=stranger)
    with pytest.raises(ConfigurationError, match=r"merchant\.pem"):
        client_certificate(certificate, certificate)


def test_settings_choose_the_gateways(tmp_path: Path) -> None:
    chosen = choose_vendors(stripe_secret_key="a", moyasar_secret_key="b")
    assert {name: each.name for name, each in chosen.gateways.items()} == {
        "stripe": "stripe",
        "mada": "moyasar",
        "stcpay": "moyasar",
    }
    both = choose_vendors(moyasar_secret_key="b", hyperpay_access_token="c", hyperpay_mada_entity_id="d")
    assert (both.gateways["mada"].name, both.gateways["stcpay"].name) == ("hyperpay", "moyasar")
    assert choose_vendors().gateways == {}
    with pytest.raises(ConfigurationError, match="HYPERPAY_MADA_ENTITY_ID too"):
        choose_vendors(hyperpay_access_token="c")
    with pytest.raises(ConfigurationError, match="STCPAY_CERTIFICATE and STCPAY_PRIVATE_KEY too"):
        choose_vendors(stcpay_client_code="c")


@pytest.mark.parametrize(
    ("name", "paid"),
    [
        ("moyasar", moyasar_payment(created_at="0001-01-01T00:00:00+03:00")),
        ("moyasar", moyasar_payment(created_at="9999-12-31T23:59:59-03:00")),
        ("stripe", intent(charge={"created": 253402300799})),
        ("hyperpay", hyperpay_payment(timestamp="9999-12-31 23:59:59.000-0300")),
        ("stcpay", [stc_row("PAY-1", PaymentDate="9999-12-31T23:59:59")]),
    ],
)
async def test_a_date_at_the_edge_of_the_calendar_does_not_keep_a_payment_open(
    world: World, name: str, paid: Any
) -> None:
    _, _, their_id, _ = MAKERS[name]
    await world.begin(provider=name, provider_payment_id=their_id)
    world.gateways.payments[their_id] = paid
    assert (await world.check(name))["status"] == "completed"
    paid_at = (await world.payment()).paid_at
    assert paid_at is not None
    assert paid_at.year == datetime.now(UTC).year
