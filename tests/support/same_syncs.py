"""Syncs for many workers at once: each type with the records it works on, and the service it asks."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from tests.support.email_jobs import PlainJob
from tests.support.records import NOW, add_client, add_firm, add_invoice
from tests.support.same_work import Scenario, Scenarios, Work, add_none
from tests.support.sync_whatsapp import NUMBER, delivery, status, text

from toril.db.models import Contract, CurrencyRate, Invoice, Payment, ZatcaDocument
from toril.db.models.banking import BankAccount, BankTransaction
from toril.db.models.whatsapp import WhatsAppMessage, WhatsAppNotification, WhatsAppNumber
from toril.db.repositories.whatsapp import WhatsAppInbox
from toril.db.session import Database
from toril.errors import TorilError
from toril.queues.base import QueueDefinition
from toril.queues.report.processors import AddJob
from toril.queues.sync.currency.providers import ErApi
from toril.queues.sync.definition import Vendors, sync_queue
from toril.queues.sync.lean.client import Lean
from toril.queues.sync.payments.moyasar import Moyasar
from toril.queues.sync.sadad.door import BillDoor, BillShape
from toril.queues.sync.wathq.client import Wathq
from toril.testing.vendors import bills as bank_of_bills
from toril.testing.vendors.bills import BillBank, bill
from toril.testing.vendors.gateways import MOYASAR_KEY, Gateways, moyasar_payment
from toril.testing.vendors.lean import (
    ACCOUNT,
    APP_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    ENTITY,
    LeanBank,
    transaction,
)
from toril.testing.vendors.rates import Rates
from toril.testing.vendors.server import vendor_server
from toril.testing.vendors.wathq import KEY, LEGACY, NATIONAL, Register


async def bank_transactions(database: Database, stack: AsyncExitStack) -> Work:
    """One account of 120 transactions on two pages, two of them not settled, and one that is gone since."""
    bank = LeanBank([transaction(number) for number in range(118)])
    pending = {"data": {"status": "PENDING"}}
    bank.transactions += [transaction(number, regional_data=pending) for number in (118, 119)]
    server = await stack.enter_async_context(vendor_server(bank.answer))
    async with database.session() as session:
        firm = await add_firm(session)
        account = BankAccount(
            firm_id=firm.id, name="Main", provider_account_id=ACCOUNT, provider_entity_id=ENTITY
        )
        session.add(account)

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        lean = Lean(CLIENT_ID, CLIENT_SECRET, APP_TOKEN, base_url=server.url, auth_url=server.url)
        return [sync_queue(database=own, vendors=Vendors(rates=(), lean=lean))]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        async with own.reading() as session:
            rows = await session.scalars(select(BankTransaction))
            known = await session.get_one(BankAccount, account.id)
            found = sorted((row.provider_transaction_id, row.amount, row.settled) for row in rows)
            return found, known.status, known.synced_until

    data = {"firmId": firm.id, "bankAccountId": account.id}
    return Work(open=open, jobs=[{"type": "bank-transactions", "data": data}] * 20, left=left)


async def payment_status(database: Database, stack: AsyncExitStack) -> Work:
    """Forty payments of one invoice: paid, refunded in part and whole, failed, and such that do not match.

    Most are asked about once, so that nothing puts right what was counted wrongly.
    """
    gateways = Gateways()
    changes: list[dict[str, Any]] = [
        {}, {}, {}, {}, {}, {"status": "refunded", "refunded": 100}, {"status": "refunded", "refunded": 250},
        {"status": "failed"}, {"amount": 999}, {"currency": "JPY"},
    ]  # fmt: skip
    changes *= 4
    for number, change in enumerate(changes):
        gateways.payments[f"p{number}"] = moyasar_payment(f"p{number}", **({"amount": 250} | change))
    server = await stack.enter_async_context(vendor_server(gateways.answer))
    async with database.session() as session:
        firm = await add_firm(session)
        invoice = await add_invoice(session, firm, await add_client(session, firm))
        payments = [
            Payment(
                firm_id=firm.id,
                invoice_id=invoice.id,
                amount=Decimal("2.50"),
                provider_payment_id=f"p{number}",
            )
            for number in range(len(changes))
        ]
        session.add_all(payments)

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        gateway = Moyasar(MOYASAR_KEY, base_url=server.url)
        return [sync_queue(database=own, vendors=Vendors(rates=(), gateways={"mada": gateway}))]

    jobs = [
        {"paymentId": payment.id, "paymentProvider": "mada", "firmId": firm.id}
        for payment in payments[:5] * 3 + payments
    ]
    return Work(open=open, jobs=[{"type": "payment-status", "data": data} for data in jobs], left=_money)


async def mudad_payment(database: Database, stack: AsyncExitStack) -> Work:
    """Thirty bills of one invoice, most of them paid, some not, some of another amount."""
    bank = BillBank()
    for number in range(30):
        bank.bills[str(number)] = bill(
            "NEW" if number % 6 == 4 else "PAID", total="9" if number % 6 == 5 else "2.50"
        )
    server = await stack.enter_async_context(vendor_server(bank.answer))
    async with database.session() as session:
        firm = await add_firm(session)
        invoice = await add_invoice(session, firm, await add_client(session, firm))
        payments = [
            Payment(firm_id=firm.id, invoice_id=invoice.id, amount=Decimal("2.50"), bill_number=str(number))
            for number in range(30)
        ]
        session.add_all(payments)

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        door = BillDoor(
            BillShape.parse(**bank_of_bills.SHAPE),
            base_url=server.url,
            token_url=f"{server.url}/oauth2/token",
            client_id=bank_of_bills.CLIENT_ID,
            client_secret=bank_of_bills.CLIENT_SECRET,
        )
        return [sync_queue(database=own, vendors=Vendors(rates=(), bills=door))]

    jobs = [{"paymentId": payment.id, "firmId": firm.id} for payment in payments[:5] * 2 + payments]
    return Work(open=open, jobs=[{"type": "mudad-payment", "data": data} for data in jobs], left=_money)


async def _money(database: Database, results: Sequence[Any]) -> Any:
    async with database.reading() as session:
        payments = (await session.scalars(select(Payment))).all()
        invoice = (await session.scalars(select(Invoice))).one()
    found = sorted(
        (each.provider_payment_id or each.bill_number, each.status, each.refunded_amount, each.review)
        for each in payments
    )
    return found, invoice.status, invoice.amount_paid


async def zatca_invoice(database: Database, stack: AsyncExitStack) -> Work:
    """Eight invoices, of persons and businesses, each three times: one chain of eight documents."""
    from tests.support.zatca_office import an_office  # needs the validator, which is not everywhere

    from toril.queues.sync.zatca import ZatcaEnvironment, ZatcaGateway, ZatcaInvoices

    office = await stack.enter_async_context(an_office(database))
    invoices = [await office.invoice(client) for client in (office.person, office.business) for _ in range(4)]
    began = time.monotonic()

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        gateway = ZatcaGateway(ZatcaEnvironment.SIMULATION, base_url=office.server.url, total_timeout=5)
        zatca = ZatcaInvoices(
            own, gateway, office.vault, clock=lambda: NOW + timedelta(seconds=time.monotonic() - began)
        )
        return [sync_queue(database=own, vendors=Vendors(rates=(), zatca=zatca))]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        async with own.reading() as session:
            statement = select(ZatcaDocument).order_by(ZatcaDocument.icv)
            documents = (await session.scalars(statement)).all()
        linked = all(after.previous_hash == before.hash for before, after in itertools.pairwise(documents))
        return (
            [each.icv for each in documents],
            linked,
            len({each.invoice_id for each in documents}),
            sorted((each.kind, each.status, each.submission_unknown) for each in documents),
        )

    jobs = [{"invoiceId": invoice.id, "firmId": office.firm.id} for _ in range(3) for invoice in invoices]
    return Work(open=open, jobs=[{"type": "zatca-invoice", "data": data} for data in jobs], left=left)


async def zatca_pending(database: Database, stack: AsyncExitStack) -> Work:
    """Six documents that were sent and got no answer: each gets its verdict, by the bytes that were sent before."""
    from tests.support.zatca_office import an_office  # needs the validator, which is not everywhere

    from toril.queues.sync.zatca import ZatcaEnvironment, ZatcaGateway, ZatcaInvoices

    office = await stack.enter_async_context(an_office(database))
    for client in [office.person, office.business] * 3:
        office.server.http.script.append("drop")
        with suppress(TorilError):
            await office.run(await office.invoice(client))
    began, hours = time.monotonic(), 1

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        gateway = ZatcaGateway(ZatcaEnvironment.SIMULATION, base_url=office.server.url, total_timeout=5)
        zatca = ZatcaInvoices(
            own,
            gateway,
            office.vault,
            clock=lambda: NOW + timedelta(hours=hours, seconds=time.monotonic() - began),
        )
        return [sync_queue(database=own, vendors=Vendors(rates=(), zatca=zatca))]

    job = {"type": "zatca-pending", "data": {}}

    async def left(own: Database, results: Sequence[Any]) -> Any:
        nonlocal hours
        hours = 2
        # Jobs that meet leave documents to one another; the next hour's finds none that was left by both.
        [definition] = open(own, add_none)
        try:
            await definition.process(PlainJob(job))
        finally:
            await definition.close()
        async with own.reading() as session:
            documents = (await session.scalars(select(ZatcaDocument).order_by(ZatcaDocument.icv))).all()
        return [(each.icv, each.kind, each.status, each.submission_unknown) for each in documents]

    return Work(open=open, jobs=[job] * 12, left=left)


async def wathq_contract(database: Database, stack: AsyncExitStack) -> Work:
    """Contracts with a company that is there by either number, by another name, and with one that is not."""
    server = await stack.enter_async_context(vendor_server(Register().answer))
    values = [
        {"counterparty_registration": NATIONAL, "counterparty_name": "شركة المثال للمحاماة"},
        {"counterparty_registration": LEGACY, "counterparty_name": "شركة المثال للمحاماة"},
        {"counterparty_registration": NATIONAL, "counterparty_name": "شركة أخرى تماما"},
        {"counterparty_registration": "7009999999", "counterparty_name": "شركة المثال"},
    ]
    async with database.session() as session:
        firm = await add_firm(session)
        contracts = [
            Contract(firm_id=firm.id, number=str(number), title="Lease", **each)
            for number, each in enumerate(values)
        ]
        session.add_all(contracts)

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        return [sync_queue(database=own, vendors=Vendors(rates=(), wathq=Wathq(KEY, base_url=server.url)))]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        async with own.reading() as session:
            rows = await session.scalars(select(Contract).order_by(Contract.number))
            return [(row.number, row.wathq_status, row.wathq_answer) for row in rows]

    jobs = [{"contractId": contract.id, "firmId": firm.id} for _ in range(6) for contract in contracts]
    return Work(open=open, jobs=[{"type": "wathq-contract", "data": data} for data in jobs], left=left)


async def whatsapp_messages(database: Database, stack: AsyncExitStack) -> Work:
    """Three hundred deliveries for one number: messages, some twice, and states in a bad order."""
    async with database.session() as session:
        firm = await add_firm(session)
        session.add(WhatsAppNumber(firm_id=firm.id, phone_number_id=NUMBER))
        await session.flush()
        for number in range(300):
            messages = [text(f"in-{number // 2}", f"text {number // 2}")]
            states = [status(f"out-{number % 40}", ("read", "sent", "delivered")[number % 3])]
            await WhatsAppInbox(session).receive(
                NUMBER,
                digest=f"{number:064}",
                payload=delivery(messages=messages, statuses=states),
                now=NOW + timedelta(seconds=number),
            )

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        return [sync_queue(database=own, vendors=Vendors(rates=()))]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        async with own.reading() as session:
            rows = await session.scalars(select(WhatsAppMessage))
            inbox = (await session.scalars(select(WhatsAppNotification))).all()
            found = sorted((row.message_id, row.direction, row.type, row.text, row.status) for row in rows)
        return found, [each.error for each in inbox if each.error], all(each.processed_at for each in inbox)

    data = {"firmId": firm.id, "phoneNumberId": NUMBER}
    one, all_of_them = {"type": "whatsapp-messages", "data": data}, {"type": "whatsapp-inbox", "data": {}}
    return Work(open=open, jobs=[one, one, one, all_of_them] * 5, left=left)


async def currency_rates(database: Database, stack: AsyncExitStack) -> Work:
    """The rates of one day."""
    server = await stack.enter_async_context(vendor_server(Rates().er_api))

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        return [sync_queue(database=own, vendors=Vendors(rates=(ErApi(base_url=server.url),)))]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        async with own.reading() as session:
            rows = await session.scalars(select(CurrencyRate))
            return sorted((row.base, row.currency, row.rate, row.as_of, row.source) for row in rows)

    return Work(open=open, jobs=[{"type": "currency-rates", "data": {"baseCurrency": "SAR"}}] * 20, left=left)


SYNCS: Scenarios = {
    "bank-transactions": Scenario("sync", {"bank-transactions"}, bank_transactions),
    "payment-status": Scenario("sync", {"payment-status"}, payment_status),
    "mudad-payment": Scenario("sync", {"mudad-payment"}, mudad_payment),
    "zatca-invoice": Scenario("sync", {"zatca-invoice"}, zatca_invoice),
    "zatca-pending": Scenario("sync", {"zatca-pending"}, zatca_pending),
    "wathq-contract": Scenario("sync", {"wathq-contract"}, wathq_contract),
    "whatsapp": Scenario("sync", {"whatsapp-messages", "whatsapp-inbox"}, whatsapp_messages),
    "currency-rates": Scenario("sync", {"currency-rates"}, currency_rates),
}
