"""How a firm gets its credentials, and new ones, against a gateway that asks for every step."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob
from tests.support.records import NOW, add_client
from tests.support.zatca_records import VAT_NUMBER, add_tax_firm, add_tax_invoice
from tests.support.zatca_server import zatca_server

from toril.db.errors import RecordNotFoundError
from toril.db.models import Firm, ZatcaKind
from toril.db.session import Database
from toril.errors import NotConfiguredError, OptionError, RetryableError, TorilError, UnknownOutcomeError
from toril.queues.base import QueueDefinition
from toril.queues.sync.zatca import (
    CredentialFolder,
    Onboarding,
    Unit,
    ZatcaEnvironment,
    ZatcaGateway,
    ZatcaInvoices,
)
from toril.queues.sync.zatca.certificate import SigningIdentity
from toril.testing.vendors.server import Reply
from toril.testing.vendors.zatca import OTP, ZatcaServer

UNIT = {"vat_number": VAT_NUMBER, "organisation": "مكتب الميزان", "branch": "الرياض", "name": "TORIL-1",
        "location": "RRRD2929", "industry": "Legal services"}  # fmt: skip

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@dataclass
class Desk:
    """What onboarding needs."""

    database: Database
    server: ZatcaServer
    gateway: ZatcaGateway
    folder: CredentialFolder
    firm: Firm

    @property
    def onboarding(self) -> Onboarding:
        return Onboarding(self.database, self.gateway, self.folder, clock=lambda: NOW)

    async def onboard(self, **options: Any) -> Any:
        unit = Unit(**UNIT, **options)
        return await self.onboarding.onboard(self.firm.id, otp=OTP, unit=unit)


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    async with zatca_server() as server:
        async with database.session() as session:
            firm = await add_tax_firm(session)
        gateway = ZatcaGateway(ZatcaEnvironment.SIMULATION, base_url=server.url)
        yield Desk(database, server, gateway, CredentialFolder(tmp_path / "zatca", "k" * 32), firm)
        await gateway.close()


@pytest.mark.parametrize(
    ("kinds", "samples"), [((ZatcaKind.STANDARD, ZatcaKind.SIMPLIFIED), 6), ((ZatcaKind.SIMPLIFIED,), 3)]
)
async def test_a_firm_is_onboarded_and_can_report(
    desk: Desk, kinds: tuple[ZatcaKind, ...], samples: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "toril"):
        credentials = await desk.onboard(kinds=kinds)
    assert await desk.folder.get(desk.firm.id) == credentials
    compliance, production = desk.server.issued
    assert (compliance.kind, production.kind) == ("compliance", "production")
    assert credentials.token == production.token
    assert (
        len([each for each in desk.server.http.requests if each.path.endswith("/compliance/invoices")])
        == samples
    )
    assert SigningIdentity.load(credentials.token, credentials.private_key).vat_number == VAT_NUMBER
    assert "zatca_firm_onboarded" in caplog.text

    async with desk.database.session() as session:
        client = await add_client(session, desk.firm)
        invoice = await add_tax_invoice(session, desk.firm, client)
    invoices = ZatcaInvoices(desk.database, desk.gateway, desk.folder, clock=lambda: NOW)
    result = await _run(invoices, invoice.id, desk.firm.id)
    assert result["status"] == "reported"


async def test_credentials_are_renewed_and_the_chain_goes_on(desk: Desk) -> None:
    first = await desk.onboard()
    invoices = ZatcaInvoices(desk.database, desk.gateway, desk.folder, clock=lambda: NOW)
    async with desk.database.session() as session:
        client = await add_client(session, desk.firm)
        made = [await add_tax_invoice(session, desk.firm, client) for _ in range(2)]
    assert (await _run(invoices, made[0].id, desk.firm.id))["icv"] == 1
    second = await desk.onboarding.renew(desk.firm.id, otp=OTP, unit=Unit(**UNIT))
    assert await desk.folder.get(desk.firm.id) == second
    assert {first.token, first.private_key}.isdisjoint({second.token, second.private_key})
    desk.server.issued[1].revoked = True
    assert (await _run(invoices, made[1].id, desk.firm.id))["icv"] == 2


async def test_a_renewal_that_needs_no_samples_is_done_at_once(desk: Desk) -> None:
    await desk.onboard()
    desk.server.http.requests.clear()
    desk.server.renewal_status = 200
    credentials = await desk.onboarding.renew(desk.firm.id, otp=OTP, unit=Unit(**UNIT))
    [request] = desk.server.http.requests
    assert (request.method, request.headers["otp"]) == ("PATCH", OTP)
    assert await desk.folder.get(desk.firm.id) == credentials


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (
            Reply(400, {"errors": [{"code": "Invalid-OTP", "message": "expired"}]}),
            NotConfiguredError,
            "Invalid-OTP",
        ),
        (Reply(401), NotConfiguredError, "HTTP 401"),
        (Reply(429, b"", {"retry-after": "3"}), RetryableError, "HTTP 429"),
        (Reply(500), RetryableError, "HTTP 500"),
        (
            Reply(200, {"requestID": 1, "dispositionMessage": "ISSUED"}),
            NotConfiguredError,
            "without a certificate",
        ),
        (Reply(200, b"<html>"), UnknownOutcomeError, "instead of JSON"),
        ("drop", UnknownOutcomeError, "did not answer"),
        (
            Reply(200, {"binarySecurityToken": "bm8=", "secret": "s" * 20}),
            NotConfiguredError,
            "cannot be read",
        ),
    ],
)
async def test_a_step_that_fails_stores_nothing(
    desk: Desk, reply: Reply | str, kind: type[TorilError], said: str
) -> None:
    desk.server.http.script.append(reply)
    with pytest.raises(kind, match=said):
        await desk.onboard()
    assert await desk.folder.get(desk.firm.id) is None


async def test_a_rejected_sample_says_why(desk: Desk) -> None:
    finding = {"code": "BR-KSA-08", "message": "the seller's id is wrong"}
    rejection = Reply(400, {"validationResults": {"errorMessages": [finding], "status": "ERROR"}})
    desk.server.http.script += ["work", "work", rejection]
    with pytest.raises(
        NotConfiguredError, match="rejects the sample SAMPLE-2: BR-KSA-08: the seller's id is wrong"
    ):
        await desk.onboard()
    assert await desk.folder.get(desk.firm.id) is None


async def test_a_firm_that_lacks_something_is_not_onboarded(desk: Desk) -> None:
    async with desk.database.session() as session:
        bare = await add_tax_firm(session, street=None, vat_number="311111111100003")
    with pytest.raises(TorilError, match="cannot be onboarded: the firm has no street"):
        await desk.onboarding.onboard(bare.id, otp=OTP, unit=Unit(**UNIT))
    with pytest.raises(RecordNotFoundError):
        await desk.onboarding.onboard("507f1f77bcf86cd799439011", otp=OTP, unit=Unit(**UNIT))
    with pytest.raises(NotConfiguredError, match="no credentials to renew"):
        await desk.onboarding.renew(desk.firm.id, otp=OTP, unit=Unit(**UNIT))
    with pytest.raises(OptionError, match="six digits"):
        await desk.onboarding.onboard(desk.firm.id, otp="12 34", unit=Unit(**UNIT))
    assert desk.server.http.requests == []


async def test_the_one_time_password_and_the_secret_are_not_logged(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        credentials = await desk.onboard()
    text = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in (OTP, credentials.secret, credentials.token, credentials.private_key):
        assert secret not in text


async def _run(invoices: ZatcaInvoices, invoice_id: str, firm_id: str) -> dict[str, Any]:
    job_type = invoices.job_type()
    queue = QueueDefinition(name="sync", types={job_type.name: job_type})
    return await queue.process(
        PlainJob({"type": "zatca-invoice", "data": {"invoiceId": invoice_id, "firmId": firm_id}})
    )
