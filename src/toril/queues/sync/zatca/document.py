"""A tax document as the tax authority sees it: parties, lines, VAT by category, totals; all exact decimals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from toril.db.models.invoices import VatCategory
from toril.db.models.zatca import ZatcaKind

RIYADH: Final = ZoneInfo("Asia/Riyadh")
HALALA: Final = Decimal("0.01")

#: Previous hash of a unit's first document: base64 of the hex SHA-256 of the character 0.
FIRST_PREVIOUS_HASH: Final = (
    "NWZlY2ViNjZmZmM4NmYzOGQ5NTI3ODZjNmQ2OTZjNzljMmRiYzIzOWRkNGU5MWI0NjcyOWQ3M2EyN2ZiNTdlOQ=="
)


class DocumentType(StrEnum):
    """Codes of UN/CEFACT 1001."""

    INVOICE = "388"
    CREDIT_NOTE = "381"
    DEBIT_NOTE = "383"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Seller or buyer. ``id_scheme`` and ``id`` go together: CRN, NAT, IQA, 700, OTH, …"""

    name: str
    vat_number: str | None = None
    id_scheme: str | None = None
    id: str | None = None
    street: str | None = None
    building_number: str | None = None
    district: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country: str = "SA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Why no VAT is charged: a code of the authority's list (``VATEX-SA-…``), and the same in words."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. ``net`` = ``quantity`` × ``unit_price`` − ``discount``, in halalas."""

    name: str
    quantity: Decimal
    unit_code: str  #: UN/ECE recommendation 20
    unit_price: Decimal
    discount: Decimal
    net: Decimal
    vat: Decimal
    category: VatCategory
    rate: Decimal  #: per cent


@dataclass(frozen=True, slots=True, kw_only=True)
class VatSubtotal:
    """What is taxed alike: lines less their share of the discount, and the VAT on it."""

    category: VatCategory
    rate: Decimal
    discount: Decimal
    taxable: Decimal
    vat: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxDocument:
    """Everything that the XML of a document says, but for its place in the chain.

    Attributes:
        issued_at: in Riyadh's time.
        vat_rounding: how much the VAT on the invoice is more than that of its sums, as its lines were rounded one by
            one; goes to the largest taxed subtotal.
        exemptions: for every category but ``S`` that a line has.
        original: number of the invoice that a note is about.
        reason: why a note is issued.
    """

    kind: ZatcaKind
    number: str
    issued_at: datetime
    seller: Party
    buyer: Party | None
    lines: tuple[Line, ...]
    discount: Decimal = Decimal(0)
    vat_rounding: Decimal = Decimal(0)
    exemptions: tuple[tuple[VatCategory, Exemption], ...] = ()
    supply_date: date | None = None
    type: DocumentType = DocumentType.INVOICE
    original: str | None = None
    reason: str | None = None

    @property
    def line_total(self) -> Decimal:
        """Of all lines, before the document's discount."""
        return sum((line.net for line in self.lines), Decimal(0))

    @property
    def subtotals(self) -> tuple[VatSubtotal, ...]:
        """By category and rate, in the order of the lines; the discount is shared out by what each has."""
        nets: dict[tuple[VatCategory, Decimal], Decimal] = {}
        for line in self.lines:
            key = (line.category, line.rate)
            nets[key] = nets.get(key, Decimal(0)) + line.net
        shares = share_out(self.discount, list(nets.values()))
        taxable = [net - share for net, share in zip(nets.values(), shares, strict=True)]
        vat = [to_halalas(base * rate / 100) for base, (_, rate) in zip(taxable, nets, strict=True)]
        vat[vat.index(max(vat))] += self.vat_rounding
        return tuple(
            VatSubtotal(category=category, rate=rate, discount=share, taxable=base, vat=tax)
            for (category, rate), share, base, tax in zip(nets, shares, taxable, vat, strict=True)
        )

    @property
    def vat(self) -> Decimal:
        """The VAT of the whole document."""
        return sum((part.vat for part in self.subtotals), Decimal(0))

    @property
    def total(self) -> Decimal:
        """With VAT."""
        return self.line_total - self.discount + self.vat

    def exemption(self, category: VatCategory) -> Exemption | None:
        """Why lines of this category carry no VAT."""
        return dict(self.exemptions).get(category)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPlace:
    """A document's place in its unit's chain."""

    uuid: str
    icv: int  #: invoice counter value, from 1
    previous_hash: str


def to_halalas(amount: Decimal) -> Decimal:
    """Rounded half up, as the authority's rules say."""
    return amount.quantize(HALALA, ROUND_HALF_UP)


def share_out(amount: Decimal, weights: list[Decimal]) -> list[Decimal]:
    """``amount`` in whole halalas by weight, to the last one; what is left over goes to the largest remainders."""
    total = sum(weights, Decimal(0))
    if not total:
        return [amount if at == 0 else Decimal(0) for at in range(len(weights))]
    ideal = [amount * weight / total for weight in weights]
    shares = [share.quantize(HALALA, ROUND_DOWN) for share in ideal]
    left = int((amount - sum(shares, Decimal(0))) / HALALA)
    by_remainder = sorted(range(len(weights)), key=lambda at: ideal[at] - shares[at], reverse=True)
    for at in by_remainder[:left]:
        shares[at] += HALALA
    return shares
