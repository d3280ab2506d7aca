"""Firm and client as seller and buyer, and what their records lack for that."""

from __future__ import annotations

import re
from typing import Final

from toril.db.models.clients import Client
from toril.db.models.firms import Firm
from toril.queues.sync.zatca.document import Party

VAT_NUMBER: Final = re.compile(r"3[0-9]{13}3")
_PERSONAL_SCHEMES: Final = {"1": "NAT", "2": "IQA", "7": "700"}  #: by the first of ten digits


def seller(firm: Firm) -> Party:
    """The firm as the seller."""
    scheme, number = registration(firm.commercial_registration) or (None, None)
    return Party(
        name=firm.name_ar or firm.name_en,
        vat_number=firm.vat_number,
        id_scheme=scheme,
        id=number,
        street=firm.street,
        building_number=firm.building_number,
        district=firm.district,
        city=firm.city,
        postal_code=firm.postal_code,
        country=firm.country,
    )


def business_buyer(client: Client) -> Party:
    """The client of a standard document."""
    scheme, number = (
        registration(client.commercial_registration) or personal_id(client.national_id) or (None, None)
    )
    return Party(
        name=client.name,
        vat_number=client.vat_number or None,
        id_scheme=scheme,
        id=number,
        street=client.street,
        building_number=client.building_number,
        district=client.district,
        city=client.city,
        postal_code=client.postal_code,
        country=client.country.upper(),
    )


def seller_problems(firm: Firm) -> list[str]:
    """What the firm's record lacks; an address must be whole, as a national address in Saudi Arabia is."""
    found = []
    if not VAT_NUMBER.fullmatch(firm.vat_number or ""):
        found.append("the firm's VAT number must have 15 digits, the first and the last a 3")
    if not (firm.name_ar or firm.name_en).strip():
        found.append("the firm has no name")
    if registration(firm.commercial_registration) is None:
        found.append("the firm has no commercial registration or other licence number of letters and digits")
    if firm.country != "SA":
        found.append("the firm's country must be SA")
    if not re.fullmatch(r"[0-9]{4}", firm.building_number or ""):
        found.append("the firm's building number must have 4 digits")
    if not re.fullmatch(r"[0-9]{5}", firm.postal_code or ""):
        found.append("the firm's postal code must have 5 digits")
    found += _missing("firm", street=firm.street, district=firm.district, city=firm.city)
    return found


def buyer_problems(client: Client) -> list[str]:
    """What the client's record lacks for a standard document."""
    found = _missing("client", name=client.name, street=client.street, city=client.city)
    if not re.fullmatch(r"[A-Za-z]{2}", client.country):
        found.append("the client's country must be a code of two letters")
    if client.vat_number:
        if not VAT_NUMBER.fullmatch(client.vat_number):
            found.append("the client's VAT number must have 15 digits, the first and the last a 3")
    elif business_buyer(client).id is None:
        found.append("the client needs a VAT number, a commercial registration or another id")
    return found


def registration(number: str | None) -> tuple[str, str] | None:
    """Scheme and number of a company's registration: CRN, a unified number (700), or another licence."""
    text = _alphanumeric(number)
    if not text:
        return None
    if re.fullmatch(r"[0-9]{10}", text):
        return ("700" if text.startswith("7") else "CRN"), text
    return "OTH", text


def personal_id(number: str | None) -> tuple[str, str] | None:
    """Scheme and number of a national id, a residence permit, a unified number, or another paper."""
    text = _alphanumeric(number)
    if not text:
        return None
    scheme = _PERSONAL_SCHEMES.get(text[0]) if re.fullmatch(r"[0-9]{10}", text) else None
    return scheme or "OTH", text


def _alphanumeric(number: str | None) -> str:
    text = re.sub(r"[\s\-/.]", "", number or "")
    return text if text.isascii() and text.isalnum() else ""


def _missing(whose: str, **fields: str | None) -> list[str]:
    return [f"the {whose} has no {name}" for name, value in fields.items() if not (value or "").strip()]
