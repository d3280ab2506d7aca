"""The firm at the head of a document, and its bank account at the foot."""

from __future__ import annotations

from typing import Any, Literal

from toril.queues.pdf.labels import LABELS, Language
from toril.queues.pdf.payloads.firm import Seller


def letterhead(firm: Seller, language: Language) -> dict[str, Any]:
    """What ``parts.html`` shows of a firm: one column, or one a language, and the logo."""
    registrations = [
        ("vat_number", firm.vat_number),
        ("commercial_registration", firm.commercial_registration),
    ]

    def column(lang: Literal["ar", "en"]) -> dict[str, Any]:
        arabic, english = firm.address_ar, firm.address_en
        return {
            "lang": lang,
            "name": firm.name_in(lang),
            "address": (arabic or english) if lang == "ar" else (english or arabic),
            "facts": [
                (LABELS[key][0 if lang == "ar" else 1], value) for key, value in registrations if value
            ],
            "contact": [value for value in (firm.phone, firm.email, firm.website) if value],
        }

    # The second column is empty, for the logo alone, unless the page and the names are in two languages.
    columns: list[dict[str, Any] | None] = [column("en" if language == "en" else "ar"), None]
    if language == "both" and firm.name_ar and firm.name_en:
        columns[1] = column("en")
    return {"columns": columns, "logo": firm.logo}


def bank_rows(firm: Seller | None) -> list[tuple[str, str]]:
    """The labels and values of the firm's bank account, as far as they are known."""
    if firm is None:
        return []
    iban = firm.iban or ""
    rows = [
        ("bank", firm.bank_name),
        ("account_name", firm.account_name),
        ("iban", " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))),
    ]
    return [(key, value) for key, value in rows if value]


def sender_name(firm: Seller | None, language: Language) -> str:
    """The firm's name in the page's main language, or nothing."""
    return firm.name_in("en" if language == "en" else "ar") if firm else ""
