"""The demonstration's firm, out of the database, and what each run adds to it so that every job has work to do."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from toril.db.demo import DemoSize, Maker, add_demo_firm, leave_behind
from toril.db.models import (
    BankAccount,
    Case,
    Client,
    ClientKind,
    Contract,
    EmailCampaign,
    Firm,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    Payment,
    PaymentMethod,
    PaymentStatus,
    Role,
    User,
    WhatsAppNotification,
    WhatsAppNumber,
)
from toril.db.session import Database

RIYADH = ZoneInfo("Asia/Riyadh")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRecords:
    """What the jobs are about; all of one firm.

    Attributes:
        invoices: the newest last, with their lines and clients.
        entries: invoices and payments of ``client``, for a statement.
        tax_invoice: made for this run, to be cleared.
        paid: payments made for this run, by what they were paid with.
    """

    firm: Firm
    admin: User
    staff: list[User]
    client: Client
    cases: list[Case]
    invoices: list[Invoice]
    payments: list[Payment]
    contract: Contract
    account: BankAccount
    number: WhatsAppNumber
    campaign: EmailCampaign
    tax_invoice: Invoice
    paid: dict[str, Payment]


async def prepare(
    database: Database, *, invoices: int, seed: int, run: str, size: DemoSize | None = None
) -> DemoRecords:
    """Store the firm unless it is there, and this run's additions; then read what the jobs need.

    Args:
        run: in hexadecimal; makes its additions different from those of other runs.
        size: of the firm; with at least 200 invoices unless given.
    """
    today = datetime.now(RIYADH).date()
    seed = seed if invoices <= 200 else seed + invoices * 1000  # a larger firm is another firm
    async with database.session() as session:
        size = size or DemoSize(invoices=max(invoices, 200))
        firm = await add_demo_firm(session, seed=seed, today=today, size=size)
        firm_id = firm.id
        admin = (
            await session.scalars(select(User).where(User.firm_id == firm_id, User.role == Role.ADMIN))
        ).first()
        number = (
            await session.scalars(select(WhatsAppNumber).where(WhatsAppNumber.firm_id == firm_id))
        ).one()
        client = (
            await session.scalars(
                select(Client).where(Client.firm_id == firm_id, Client.kind == ClientKind.BUSINESS).limit(1)
            )
        ).one()
        assert admin is not None
        leave_behind(session, Maker(int(run, 16), today, days=365), firm, admin)
        session.add(_delivery(number.phone_number_id, run))
        tax_invoice = _tax_invoice(firm, client, today, run)
        session.add(tax_invoice)
        await session.flush()
        paid = {key: _payment(firm, tax_invoice, key, run) for key in ("stripe", "stcpay", "mada", "sadad")}
        session.add_all(paid.values())
        await session.flush()
        tax_id, paid_ids = tax_invoice.id, {key: payment.id for key, payment in paid.items()}
    return await _read(database, firm_id, tax_id, paid_ids, invoices)


async def _read(
    database: Database, firm_id: str, tax_id: str, paid_ids: dict[str, str], count: int
) -> DemoRecords:
    async with database.reading() as session:

        async def of_firm(model: Any, *where: Any, **options: Any) -> list[Any]:
            query = select(model).where(model.firm_id == firm_id, *where)
            return list((await session.scalars(query.order_by(model.id).options(*options.values()))).all())

        firm = await session.get_one(Firm, firm_id)
        users = await of_firm(User)
        wanted = select(Invoice).where(Invoice.firm_id == firm_id, Invoice.id != tax_id)
        whole = (selectinload(Invoice.lines), selectinload(Invoice.client))
        newest = await session.scalars(wanted.order_by(Invoice.number.desc()).limit(count).options(*whole))
        invoices = list(newest)[::-1]
        busiest = max(
            {invoice.client_id for invoice in invoices},
            key=lambda client_id: sum(invoice.client_id == client_id for invoice in invoices),
        )
        tax_invoice = (
            await session.scalars(select(Invoice).where(Invoice.id == tax_id).options(*whole))
        ).one()
        payments = await of_firm(Payment)
        by_id = {payment.id: payment for payment in payments}
        return DemoRecords(
            firm=firm,
            admin=next(user for user in users if user.role == Role.ADMIN),
            staff=users,
            client=await session.get_one(Client, busiest),
            cases=await of_firm(Case),
            invoices=invoices,
            payments=payments,
            contract=(await of_firm(Contract))[0],
            account=(await of_firm(BankAccount))[0],
            number=(await of_firm(WhatsAppNumber))[0],
            campaign=(await of_firm(EmailCampaign))[0],
            tax_invoice=tax_invoice,
            paid={key: by_id[payment_id] for key, payment_id in paid_ids.items()},
        )


def _tax_invoice(firm: Firm, client: Client, today: date, run: str) -> Invoice:
    net, vat = Decimal("100.00"), Decimal("15.00")
    return Invoice(
        firm_id=firm.id,
        client_id=client.id,
        number=f"DEMO-{run}",
        status=InvoiceStatus.SENT,
        issue_date=today,
        supply_date=today,
        due_date=today + timedelta(days=30),
        subtotal=net,
        vat_amount=vat,
        total=net + vat,
        sent_at=datetime.now(UTC),
        lines=[
            InvoiceLine(
                firm_id=firm.id,
                position=1,
                description="استشارة قانونية · Legal consultation",
                quantity=Decimal(1),
                unit_price=net,
                net=net,
                vat_amount=vat,
            )
        ],
    )


def _payment(firm: Firm, invoice: Invoice, paid_with: str, run: str) -> Payment:
    """A payment that waits for its gateway's word."""
    by_bill = paid_with == "sadad"
    provider = {"stripe": "stripe", "stcpay": "moyasar", "mada": "moyasar"}.get(paid_with)
    method = {"stripe": PaymentMethod.CARD}.get(paid_with) or PaymentMethod(paid_with)
    return Payment(
        firm_id=firm.id,
        client_id=invoice.client_id,
        method=method,
        status=PaymentStatus.PENDING,
        amount=invoice.total,
        provider=provider,
        provider_payment_id=None if by_bill else f"pay_{paid_with}_{run}",
        bill_number=f"7{int(run, 16) % 10**9:09d}" if by_bill else None,
    )


def _delivery(phone_number_id: str, run: str) -> WhatsAppNotification:
    """A message, as Meta's webhook delivers it."""
    sent = str(int(datetime.now(UTC).timestamp()))
    sender = "966500000001"
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "966110000000", "phone_number_id": phone_number_id},
        "contacts": [{"profile": {"name": "Sara"}, "wa_id": sender}],
        "messages": [
            {
                "from": sender,
                "id": f"wamid.{run}",
                "timestamp": sent,
                "type": "text",
                "text": {"body": "متى موعد الجلسة؟"},
            }
        ],
    }
    payload = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}],
    }
    digest = hashlib.sha256(json.dumps(payload).encode()).hexdigest()
    return WhatsAppNotification(phone_number_id=phone_number_id, digest=digest, payload=payload)
