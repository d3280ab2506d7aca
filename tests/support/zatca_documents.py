"""Tax documents that need no records, and a certificate to sign them with."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives import serialization
from tests.support.records import NOW

from toril.db.models import VatCategory, ZatcaKind
from toril.queues.sync.zatca.certificate import SigningIdentity
from toril.queues.sync.zatca.csr import make_key
from toril.queues.sync.zatca.document import (
    FIRST_PREVIOUS_HASH,
    RIYADH,
    ChainPlace,
    Line,
    Party,
    TaxDocument,
    to_halalas,
)
from toril.testing.vendors.server import Reply, VendorServer
from toril.testing.vendors.zatca import ZatcaServer
from toril.testing.vendors.zatca_judge import SignatureJudge

SELLER = Party(
    name="مكتب الميزان للمحاماة والاستشارات القانونية",
    vat_number="399999999900003",
    id_scheme="CRN",
    id="1010455867",
    street="طريق الملك فهد",
    building_number="7624",
    district="العليا",
    city="الرياض",
    postal_code="12211",
)
BUYER = Party(
    name="شركة السند & شركاه",
    vat_number="311111111100003",
    id_scheme="CRN",
    id="1010455868",
    street="طريق الملك فهد",
    building_number="7625",
    district="العليا",
    city="الرياض",
    postal_code="12211",
)
PLACE = ChainPlace(uuid="8e6000cf-1a98-4174-b3e7-b5d5954bc10d", icv=1, previous_hash=FIRST_PREVIOUS_HASH)


def a_line(**values: Any) -> Line:
    """A line of 100, its net and VAT made from the rest."""
    quantity, price, discount = (
        Decimal(values.pop(name, default))
        for name, default in (("quantity", 1), ("unit_price", 100), ("discount", 0))
    )
    rate = values.pop("rate", Decimal(15))
    net = to_halalas(quantity * price - discount)
    defaults = {"name": "استشارة قانونية", "unit_code": "HUR", "category": VatCategory.STANDARD}
    return Line(
        quantity=quantity,
        unit_price=price,
        discount=discount,
        net=net,
        vat=to_halalas(net * rate / 100),
        rate=rate,
        **(defaults | values),
    )


def a_document(**values: Any) -> TaxDocument:
    """A standard invoice of two lines of 100."""
    defaults: dict[str, Any] = {
        "kind": ZatcaKind.STANDARD,
        "number": "INV-1",
        "issued_at": NOW.astimezone(RIYADH),
        "seller": SELLER,
        "buyer": BUYER,
        "lines": (a_line(), a_line()),
    }
    return TaxDocument(**(defaults | values))


def an_identity(*, days: int = 365, **options: Any) -> SigningIdentity:
    """A certificate with its key; ``options`` as for the gateway's ``issue``."""
    key = make_key()
    public_key = serialization.load_pem_private_key(key.encode(), password=None).public_key()
    authority = ZatcaServer(VendorServer(lambda request: Reply(404)), SignatureJudge())
    access = authority.issue(public_key, expires_at=NOW + timedelta(days=days), **options)
    return SigningIdentity.load(access.token, key)
