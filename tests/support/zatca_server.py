"""ZATCA's gateway for tests, on the first of March 2026.

Documents are judged by an independent validator of the authority's rules, not by code of ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from tests.support.records import NOW

from toril.testing.vendors import zatca
from toril.testing.vendors.zatca import ZatcaServer

fatoora = pytest.importorskip(
    "fatoora", reason="fatoority, the independent validator, has no wheel for this machine"
)


def validate(xml: str, previous_hash: str | None = None) -> dict[str, list[str]]:
    """What the independent validator finds an hour after ``NOW``: codes by severity, and the stages that did not run.

    A standard document's signature and QR code are the authority's to make, so it does not look at those.
    """
    report = fatoora.validate_zatca_invoice_from_str(
        fatoora.Config(),
        xml,
        previous_invoice_hash=previous_hash,
        evaluated_at=(NOW + timedelta(hours=1)).isoformat(),
    )
    found: dict[str, list[str]] = {"error": [], "warning": [], "not run": []}
    for stage in report["stages"]:
        if stage["status"] == "not_run":
            found["not run"].append(stage["stage"])
        for finding in stage["findings"]:
            if finding["code"] == "PIH_CONTEXT_REQUIRED":  # the caller did not say what the hash before is
                continue
            found[finding["severity"]].append(finding["code"])
    return found


class Validator:
    """The validator as the gateway's judge."""

    def findings(self, xml: str) -> dict[str, list[str]]:
        return validate(xml)

    def hash(self, xml: str) -> str:
        return str(fatoora.invoice_hash_base64_from_xml_str(xml))


@asynccontextmanager
async def zatca_server() -> AsyncIterator[ZatcaServer]:
    """Run a gateway; its ``url`` is the base URL."""
    async with zatca.zatca_server(Validator(), clock=lambda: NOW) as server:
        yield server
