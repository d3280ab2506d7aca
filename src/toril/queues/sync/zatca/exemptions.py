"""Why a line carries no VAT, in the authority's codes; those that a firm of services can need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from toril.db.models.invoices import VatCategory
from toril.errors import ConfigurationError
from toril.queues.sync.zatca.document import Exemption

#: Code → category and reason. Source: ZATCA, "Electronic Invoice XML Implementation Standard", BT-121.
_REASONS: Final = {
    "VATEX-SA-32": (VatCategory.ZERO, "Export of goods"),
    "VATEX-SA-33": (VatCategory.ZERO, "Export of services"),
    "VATEX-SA-29": (VatCategory.EXEMPT, "Financial services mentioned in Article 29 of the VAT Regulations"),
    "VATEX-SA-29-7": (
        VatCategory.EXEMPT,
        "Life insurance services mentioned in Article 29 of the VAT Regulations",
    ),
    "VATEX-SA-30": (
        VatCategory.EXEMPT,
        "Real estate transactions mentioned in Article 30 of the VAT Regulations",
    ),
    "VATEX-SA-OOS": (VatCategory.OUT_OF_SCOPE, "Not subject to VAT"),
}

Exemptions = Mapping[VatCategory, Exemption]


def read_exemptions(codes: Mapping[str, str]) -> Exemptions:
    """The reason to give for each category.

    Args:
        codes: by category: ``{"Z": "VATEX-SA-33"}``. Nothing is assumed for Z and E, as a wrong reason would be a
            false statement; out of scope (O) has one code only.
    Raises:
        ConfigurationError: no such category, or no such code for it.
    """
    found = {VatCategory.OUT_OF_SCOPE: "VATEX-SA-OOS"}
    for category, code in codes.items():
        known = [each for each, (of, _) in _REASONS.items() if of == category]
        if code not in known:
            raise ConfigurationError(
                f"ZATCA_EXEMPTIONS: {code!r} is no reason for the VAT category {category!r}"
                + (f"; there are {', '.join(known)}" if known else ", which must be Z, E or O")
            )
        found[VatCategory(category)] = code
    return {category: Exemption(code=code, text=_REASONS[code][1]) for category, code in found.items()}
