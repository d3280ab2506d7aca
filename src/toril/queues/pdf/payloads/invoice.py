"""What a job of the type ``invoice`` carries."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from toril.queues.base import Payload
from toril.queues.pdf import figures
from toril.queues.pdf.fields import (
    CLEAN,
    Amount,
    Currency,
    LineText,
    LongText,
    Moment,
    NaturalAmount,
    Percent,
    Quantity,
    RecordId,
    ShortText,
)
from toril.queues.pdf.options import DEFAULT_OPTIONS, OptionsField
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.zatca_qr import check_qr

MAX_ITEMS = 2000


def _named(*names: str, **more: Any) -> Any:
    """A field that is read by any one of ``names``; errors name the one that was sent."""
    return Field(validation_alias=AliasChoices(*names), **more)


class InvoiceItem(Payload):
    """One line of an invoice. Some fields have other names too, as applications call them.

    Attributes:
        quantity: pieces or hours.
        unit: what is counted, such as ``hour``; shown beside the quantity.
        unit_price: before VAT; negative on a line that takes something off. The total, on a line of one piece
            that has no price.
        discount: taken off quantity times price, before VAT.
        vat_rate: percent; the invoice's rate unless given.
        total: before VAT. Worked out when missing, checked when given.
    """

    description: Annotated[str, StringConstraints(min_length=1, max_length=2000), CLEAN] = _named(
        "description", "name", "title"
    )
    quantity: Quantity = _named("quantity", "qty", "hours", default=Decimal(1))
    unit: Annotated[str, StringConstraints(max_length=20), CLEAN] = ""
    unit_price: Amount = _named("unitPrice", "price", "rate")
    discount: Annotated[NaturalAmount, BeforeValidator(lambda value: value or 0)] = Decimal(0)
    vat_rate: Percent | None = None
    total: Amount = _named("total", "amount", default=None, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _as_applications_write_it(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        # MongoDB's drivers give every line an _id; null is not given.
        line = {key: item for key, item in value.items() if key != "_id" and item is not None}
        has_price = not line.keys().isdisjoint({"unitPrice", "unit_price", "price", "rate", "discount"})
        is_one = all(line.get(name, 1) in (1, "1") for name in ("quantity", "qty", "hours"))
        total = line.get("total", line.get("amount"))
        return line | {"unitPrice": total} if is_one and not has_price and total is not None else line

    @field_validator("total", mode="before")
    @classmethod
    def _work_out_total(cls, value: Any, info: ValidationInfo) -> Any:
        return _line_total(info.data) if value is None else value

    @field_validator("total")
    @classmethod
    def _total_follows(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        if {"quantity", "unit_price", "discount"} <= info.data.keys():
            figures.require_equal(
                value, _line_total(info.data), what="quantity × unitPrice − discount", tolerance=figures.CENT
            )
        return value


class InvoiceData(Payload):
    """The invoice itself. Figures are checked against each other in the order they stand here.

    Attributes:
        date: when it was issued; a date alone means midnight in Riyadh.
        client_vat_number: the buyer's, needed on an invoice to another business.
        reference: the case, contract or order the invoice belongs to.
        qr_code: a finished ZATCA QR code (base64), as a cleared invoice has one; made here when missing.
        seller: the firm; looked up by ``firmId`` when missing, if the application gave the queue a way to.
    """

    invoice_number: Annotated[str, StringConstraints(min_length=1, max_length=50), CLEAN]
    date: Moment
    due_date: Moment | None = None
    client_name: Annotated[str, StringConstraints(min_length=1, max_length=300), CLEAN]
    client_email: ShortText = ""
    client_phone: ShortText = ""
    client_address: LineText = ""
    client_vat_number: ShortText = ""
    reference: ShortText = ""
    currency: Currency = "SAR"
    items: list[InvoiceItem] = Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)
    subtotal: NaturalAmount
    vat_rate: Percent
    vat_amount: NaturalAmount
    total_amount: NaturalAmount
    notes: LongText = ""
    payment_terms: LongText = ""
    seller: Seller | None = None
    qr_code: Annotated[str, StringConstraints(max_length=2000)] | None = None

    @property
    def vat_groups(self) -> list[figures.VatGroup]:
        """The VAT by rate, worked out from the lines."""
        return _vat_groups(self.items, self.vat_rate)

    @field_validator("subtotal")
    @classmethod
    def _subtotal_follows(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        if "items" in info.data:
            lines = sum((item.total for item in info.data["items"]), Decimal(0))
            figures.require_equal(value, lines, what="the sum of the lines", tolerance=_tolerance(info.data))
        return value

    @field_validator("vat_amount")
    @classmethod
    def _vat_follows(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        if {"items", "vat_rate"} <= info.data.keys():
            groups = _vat_groups(info.data["items"], info.data["vat_rate"])
            rates = ", ".join(f"{figures.plain(x.rate)} % of {figures.plain(x.taxable)}" for x in groups)
            vat = sum((group.vat for group in groups), Decimal(0))
            figures.require_equal(value, vat, what=f"the VAT ({rates})", tolerance=_tolerance(info.data))
        return value

    @field_validator("total_amount")
    @classmethod
    def _total_follows(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        if {"subtotal", "vat_amount"} <= info.data.keys():
            total = info.data["subtotal"] + info.data["vat_amount"]
            figures.require_equal(value, total, what="subtotal + vatAmount", tolerance=figures.CENT)
        return value

    @field_validator("qr_code")
    @classmethod
    def _qr_code_fits(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and {"vat_amount", "total_amount"} <= info.data.keys():
            check_qr(value, total=info.data["total_amount"], vat=info.data["vat_amount"])
        return value


class InvoicePayload(Payload):
    """Data of a job of type ``invoice``."""

    invoice_id: RecordId
    invoice_data: InvoiceData
    options: OptionsField = DEFAULT_OPTIONS
    firm_id: RecordId

    @property
    def firm(self) -> Seller | None:
        """The firm as the job describes it."""
        return self.invoice_data.seller


def _line_total(known: dict[str, Any]) -> Decimal:
    if not {"quantity", "unit_price", "discount"} <= known.keys():
        return Decimal(0)  # a field before has its own error
    return figures.line_total(known["quantity"], known["unit_price"], known["discount"])


def _vat_groups(items: list[InvoiceItem], rate: Decimal) -> list[figures.VatGroup]:
    return figures.vat_groups(
        [(item.total, item.vat_rate if item.vat_rate is not None else rate) for item in items]
    )


def _tolerance(known: dict[str, Any]) -> Decimal:
    return figures.CENT * len(known["items"])
