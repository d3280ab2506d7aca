"""Firms, clients and invoices that can be tax documents, and a firm's credentials."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives import serialization
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.records import NOW, add_client, add_firm, add_invoice

from toril.db.models import Client, ClientKind, Firm, Invoice, InvoiceLine
from toril.queues.sync.zatca import ZatcaCredentials, ZatcaEnvironment
from toril.queues.sync.zatca.csr import make_key
from toril.queues.sync.zatca.document import to_halalas
from toril.testing.vendors.zatca import ZatcaServer

VAT_NUMBER = "399999999900003"
ADDRESS = {
    "street": "طريق الملك فهد",
    "building_number": "7624",
    "district": "العليا",
    "city": "الرياض",
    "postal_code": "12211",
}


async def add_tax_firm(session: AsyncSession, **values: Any) -> Firm:
    """A firm that can issue tax documents."""
    firm = {"vat_number": VAT_NUMBER, "commercial_registration": "1010455867", **ADDRESS}
    return await add_firm(session, **(firm | values))


async def add_business(session: AsyncSession, firm: Firm, **values: Any) -> Client:
    """A client who gets standard documents."""
    business = {
        "kind": ClientKind.BUSINESS,
        "name": "شركة السند & شركاه",
        "vat_number": "311111111100003",
        **ADDRESS,
    }
    return await add_client(session, firm, **(business | values))


async def add_tax_invoice(
    session: AsyncSession, firm: Firm, client: Client, *lines: dict[str, Any], **values: Any
) -> Invoice:
    """An invoice, its figures made from its lines; one line of 1000 unless told otherwise."""
    discount = Decimal(values.pop("discount", 0))
    made = [_line(firm, at, **line) for at, line in enumerate(lines or ({"unit_price": "1000"},), 1)]
    subtotal = sum((line.net for line in made), Decimal(0))
    vat = to_halalas(sum((line.net * line.vat_rate / 100 for line in made), Decimal(0)))
    vat -= to_halalas(discount * 15 / 100)
    figures = {
        "lines": made,
        "issue_date": NOW.date(),
        "due_date": NOW.date() + timedelta(days=30),
        "subtotal": subtotal,
        "discount": discount,
        "vat_amount": vat,
        "total": subtotal - discount + vat,
    }
    return await add_invoice(session, firm, client, **(figures | values))


def _line(firm: Firm, at: int, **values: Any) -> InvoiceLine:
    quantity, price = Decimal(values.pop("quantity", 1)), Decimal(values.pop("unit_price", 100))
    discount, rate = Decimal(values.pop("discount", 0)), Decimal(values.pop("vat_rate", 15))
    net = to_halalas(quantity * price - discount)
    return InvoiceLine(
        firm_id=firm.id,
        position=at,
        quantity=quantity,
        unit_price=price,
        discount=discount,
        vat_rate=rate,
        net=net,
        vat_amount=to_halalas(net * rate / 100),
        **({"description": "استشارة قانونية · Legal consultation", "unit": "ساعة · hour"} | values),
    )


def credentials_from(server: ZatcaServer, **options: Any) -> ZatcaCredentials:
    """Production credentials that ``server`` accepts; ``options`` as for its ``issue``."""
    key = make_key()
    public_key = serialization.load_pem_private_key(key.encode(), password=None).public_key()
    access = server.issue(public_key, **options)
    return ZatcaCredentials(
        environment=ZatcaEnvironment.SIMULATION, token=access.token, secret=access.secret, private_key=key
    )


class Vault:
    """Credentials in memory, by firm."""

    def __init__(self) -> None:
        self.by_firm: dict[str, ZatcaCredentials] = {}

    async def get(self, firm_id: str) -> ZatcaCredentials | None:
        return self.by_firm.get(firm_id)
