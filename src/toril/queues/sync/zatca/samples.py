"""The sample documents that a new unit must have checked before it gets its production certificate."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from toril.db.models.invoices import VatCategory
from toril.db.models.zatca import ZatcaKind
from toril.queues.sync.zatca.certificate import SigningIdentity
from toril.queues.sync.zatca.document import (
    FIRST_PREVIOUS_HASH,
    RIYADH,
    ChainPlace,
    DocumentType,
    Line,
    Party,
    TaxDocument,
)
from toril.queues.sync.zatca.signature import SignedDocument, sign

_BUYER: Final = Party(
    name="شركة تجريبية",
    vat_number="399999999800003",
    id_scheme="CRN",
    id="1010101010",
    street="طريق الملك فهد",
    building_number="8228",
    district="العليا",
    city="الرياض",
    postal_code="12244",
)
_LINE: Final = Line(
    name="خدمة تجريبية",
    quantity=Decimal(1),
    unit_code="PCE",
    unit_price=Decimal(100),
    discount=Decimal(0),
    net=Decimal(100),
    vat=Decimal(15),
    category=VatCategory.STANDARD,
    rate=Decimal(15),
)


def sign_samples(
    seller: Party, kinds: Sequence[ZatcaKind], identity: SigningIdentity, *, now: datetime
) -> Iterator[tuple[str, str, SignedDocument]]:
    """An invoice, a credit note and a debit note of each kind, chained; each as (number, UUID, document)."""
    previous, icv = FIRST_PREVIOUS_HASH, 0
    for kind in kinds:
        original = f"SAMPLE-{icv + 1}"
        for of in DocumentType:
            icv += 1
            note = of is not DocumentType.INVOICE
            document = TaxDocument(
                kind=kind,
                type=of,
                number=f"SAMPLE-{icv}",
                issued_at=now.astimezone(RIYADH),
                seller=seller,
                buyer=_BUYER if kind is ZatcaKind.STANDARD else None,
                lines=(_LINE,),
                original=original if note else None,
                reason="تصحيح" if note else None,
            )
            place = ChainPlace(uuid=str(uuid.uuid4()), icv=icv, previous_hash=previous)
            signed = sign(document, place, identity, signed_at=now)
            previous = signed.hash
            yield document.number, place.uuid, signed
