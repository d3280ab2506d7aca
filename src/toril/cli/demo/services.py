"""The outside services of the demonstration, on ports of this machine: they answer as documented, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from toril.cli.demo.records import DemoRecords
from toril.db.session import Database
from toril.queues.notification import Channels, LogProvider, SocketEvents, Vapid, WebhookSigner, new_keys
from toril.queues.ssrf import Guard
from toril.queues.sync.currency.providers import ErApi
from toril.queues.sync.definition import Vendors
from toril.queues.sync.lean.client import Lean
from toril.queues.sync.payments.moyasar import Moyasar
from toril.queues.sync.payments.stripe import Stripe
from toril.queues.sync.sadad.door import BillDoor, BillShape
from toril.queues.sync.wathq.client import Wathq
from toril.queues.sync.zatca import (
    CredentialFolder,
    Onboarding,
    Unit,
    ZatcaEnvironment,
    ZatcaGateway,
    ZatcaInvoices,
)
from toril.testing.vendors import bills, gateways, lean, wathq, zatca
from toril.testing.vendors.push import Browser, PushService, push_service
from toril.testing.vendors.rates import Rates
from toril.testing.vendors.server import Reply, VendorRequest, VendorServer, vendor_server
from toril.testing.vendors.zatca_judge import SignatureJudge

#: Signs the webhooks, and encrypts the credentials at ZATCA; of nobody's real ones.
_WEBHOOK_SECRET = "whsec_ZGVtb25zdHJhdGlvbi1vZi10b3JpbC1vbmx5LTMyYg=="  # noqa: S105
_ZATCA_KEY = "of the demonstration only; no real credentials"


@dataclass(slots=True)
class DemoServices:
    """What runs, and what the queues are given to reach it.

    Attributes:
        browsers: take pushes; the last one's subscription has expired.
        webhook: where webhooks arrive.
    """

    channels: Channels
    vendors: Vendors
    push: PushService
    webhook: VendorServer
    browsers: list[Browser] = field(default_factory=list)


@asynccontextmanager
async def demo_services(
    database: Database, records: DemoRecords, *, outbox: Path, folder: Path, url: str | None, home: Path
) -> AsyncIterator[DemoServices]:
    """Run them all, with a firm that has its certificate from the tax authority.

    Args:
        outbox: SMS lie in ``sms`` below it.
        folder: for the firm's credentials.
        url, home: of the queue server, which carries live events.
    """
    async with AsyncExitStack() as stack:
        public, private = new_keys()
        push = await stack.enter_async_context(push_service(public))
        webhook = await stack.enter_async_context(vendor_server(_taken))
        channels = Channels(
            sms=LogProvider(outbox / "sms"),
            live=SocketEvents(url, home=home),
            vapid=Vapid(public, private, contact="ops@firm.example"),
            webhook_signer=WebhookSigner([_WEBHOOK_SECRET]),
            guard=Guard.for_development(),
        )
        vendors = await _vendors(stack, database, records, folder)
        browsers = [push.subscribe(), push.subscribe(), push.subscribe(gone=True)]
        yield DemoServices(channels, vendors, push, webhook, browsers)


def _taken(request: VendorRequest) -> Reply:
    return Reply(200, {"received": True})


async def _vendors(stack: AsyncExitStack, database: Database, records: DemoRecords, folder: Path) -> Vendors:
    async def serve(answer: Any) -> str:
        return (await stack.enter_async_context(vendor_server(answer))).url

    authority = await stack.enter_async_context(zatca.zatca_server(SignatureJudge()))
    payments = await serve(gateways.Gateways(_payments(records)).answer)
    bank = await serve(_bank(records).answer)
    bill_bank = await serve(
        bills.BillBank(
            {
                records.paid["sadad"].bill_number or "": bills.bill(
                    total=f"{_total(records):.2f}", currency="SAR"
                )
            }
        ).answer
    )
    register = await serve(wathq.Register(_companies(records)).answer)
    return Vendors(
        rates=[ErApi(base_url=await serve(Rates(datetime.now(UTC)).er_api))],
        gateways={
            "stripe": Stripe(gateways.STRIPE_KEY, base_url=payments),
            "mada": (moyasar := Moyasar(gateways.MOYASAR_KEY, base_url=payments)),
            "stcpay": moyasar,
        },
        lean=Lean(lean.CLIENT_ID, lean.CLIENT_SECRET, lean.APP_TOKEN, base_url=bank, auth_url=bank),
        bills=BillDoor(
            BillShape.parse(**bills.SHAPE),
            base_url=bill_bank,
            token_url=f"{bill_bank}/oauth2/token",
            client_id=bills.CLIENT_ID,
            client_secret=bills.CLIENT_SECRET,
        ),
        wathq=Wathq(wathq.KEY, base_url=register),
        zatca=await _onboarded(database, records, authority, folder),
    )


def _total(records: DemoRecords) -> Any:
    return records.tax_invoice.total


def _payments(records: DemoRecords) -> dict[str, Any]:
    """This run's payments, all of them made."""
    halalas = int(_total(records) * 100)
    made = {}
    for key, payment in records.paid.items():
        name = payment.provider_payment_id or ""
        if key == "stripe":
            made[name] = gateways.intent(name, amount=halalas, amount_received=halalas)
        elif name:
            made[name] = gateways.moyasar_payment(name, amount=halalas)
    return made


def _bank(records: DemoRecords) -> lean.LeanBank:
    """An account with 250 transactions, which are three pages."""
    now = datetime.now(UTC).replace(microsecond=0)
    rows = [
        lean.transaction(
            number,
            account_id=records.account.provider_account_id,
            booking_date_time=f"{now - timedelta(hours=3 * number):%Y-%m-%dT%H:%M:%SZ}",
        )
        for number in range(250)
    ]
    return lean.LeanBank(
        rows,
        account=records.account.provider_account_id or "",
        entity=records.account.provider_entity_id or "",
    )


def _companies(records: DemoRecords) -> dict[str, Any]:
    number = records.contract.counterparty_registration or ""
    company = wathq.company(crNationalNumber=number, name=records.contract.counterparty_name)
    return {number: company}


async def _onboarded(
    database: Database, records: DemoRecords, authority: zatca.ZatcaServer, folder: Path
) -> ZatcaInvoices:
    """The firm's way to the authority, with a certificate got from it as firms get theirs."""
    firm = records.firm
    gateway = ZatcaGateway(ZatcaEnvironment.SIMULATION, base_url=authority.url)
    credentials = CredentialFolder(folder, _ZATCA_KEY)
    unit = Unit(
        vat_number=firm.vat_number or "",
        organisation=firm.name_en or "",
        branch=(firm.vat_number or "")[:10],
        name="demo",
        location="Riyadh",
        industry="Legal services",
    )
    await Onboarding(database, gateway, credentials).onboard(firm.id, otp=zatca.OTP, unit=unit)
    return ZatcaInvoices(database, gateway, credentials)
