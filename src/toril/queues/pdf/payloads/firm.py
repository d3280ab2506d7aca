"""The firm that a document comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from toril.queues.base import Payload
from toril.queues.pdf.fields import CLEAN, Iban, LineText, Logo, SaudiVatNumber, ShortText


def _fits_qr_code(value: str) -> str:
    if len(value.encode()) > 255:
        raise ValueError("has more than the 255 bytes in UTF-8 that a QR code's field takes")
    return value


_Name = Annotated[str, StringConstraints(max_length=120), CLEAN, AfterValidator(_fits_qr_code)]


class Seller(Payload):
    """The firm at the head of a document. One name is enough; with a VAT number its invoices are tax invoices."""

    name_ar: _Name = ""
    name_en: _Name = Field("", validate_default=True)
    vat_number: SaudiVatNumber | None = None
    commercial_registration: ShortText = ""
    address_ar: LineText = ""
    address_en: LineText = ""
    phone: ShortText = ""
    email: ShortText = ""
    website: ShortText = ""
    logo: Logo | None = None
    bank_name: ShortText = ""
    account_name: LineText = ""
    iban: Iban | None = None

    def name_in(self, lang: Literal["ar", "en"]) -> str:
        """The name in a language, or the one there is."""
        return (self.name_ar or self.name_en) if lang == "ar" else (self.name_en or self.name_ar)

    @field_validator("name_en")
    @classmethod
    def _has_a_name(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("name_ar") == "":
            raise ValueError("the seller needs nameAr, nameEn or both")
        return value
