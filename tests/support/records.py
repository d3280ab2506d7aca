"""A few records to begin a test with."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.ids import new_id
from toril.db.models import Client, Firm, Invoice, InvoiceLine, InvoiceStatus, User

#: A moment for tests that need one.
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


async def add_firm(session: AsyncSession, **values: Any) -> Firm:
    """Store a firm."""
    firm = Firm(**{"name_ar": "مكتب الميزان", "name_en": "Al Mizan Law Firm", **values})
    session.add(firm)
    await session.flush()
    return firm


async def add_user(session: AsyncSession, firm: Firm, **values: Any) -> User:
    """Store a user of a firm."""
    user = User(**{"firm_id": firm.id, "email": f"{new_id()}@firm.example", "name": "Sara", **values})
    session.add(user)
    await session.flush()
    return user


async def add_client(session: AsyncSession, firm: Firm, **values: Any) -> Client:
    """Store a client of a firm."""
    client = Client(
        **{"firm_id": firm.id, "name": "Client", "client_since": date(2026, 1, 1), **values},
    )
    session.add(client)
    await session.flush()
    return client


async def add_invoice(session: AsyncSession, firm: Firm, client: Client, **values: Any) -> Invoice:
    """Store an invoice of 100 and 15 VAT, sent and unpaid, with one line."""
    defaults = {
        "number": f"INV-{new_id()}",
        "status": InvoiceStatus.SENT,
        "issue_date": date(2026, 2, 1),
        "due_date": date(2026, 3, 3),
        "subtotal": Decimal(100),
        "vat_amount": Decimal(15),
        "total": Decimal(115),
    }
    line = InvoiceLine(
        firm_id=firm.id,
        position=1,
        description="Consultation",
        quantity=Decimal(1),
        unit_price=Decimal(100),
        net=Decimal(100),
        vat_amount=Decimal(15),
    )
    invoice = Invoice(**{"firm_id": firm.id, "client_id": client.id, "lines": [line], **defaults, **values})
    session.add(invoice)
    await session.flush()
    return invoice
