"""The outside services of the demonstration, on ports of this machine: they answer as documented, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from toril.cli.demo.records import DemoRecords
from toril.db.session import Database
from toril.queues.notification import new_keys, new_secret
from toril.queues.sync.zatca import CredentialFolder, Onboarding, Unit, ZatcaEnvironment, ZatcaGateway
from toril.testing.vendors import bills, gateways, lean, wathq, zatca
from toril.testing.vendors.push import Browser, PushService, push_service
from toril.testing.vendors.rates import Rates
from toril.testing.vendors.server import Reply, VendorServer, vendor_server
from toril.testing.vendors.zatca_judge import SignatureJudge

#: Encrypts the made-up firm's credentials at the authority.
_ZATCA_KEY: Final = "of the demonstration only; no real credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoServices:
    """What runs, and how it is reached.

    Attributes:
        settings: fields of ``Settings`` that lead to these services.
        browsers: take pushes; the last one's subscription has expired.
        webhook: where webhooks arrive.
    """

    settings: dict[str, Any]
    push: PushService
    browsers: list[Browser]
    webhook: VendorServer


@asynccontextmanager
async def demo_services(
    database: Database, records: DemoRecords, *, home: Path
) -> AsyncIterator[DemoServices]:
    """Run them all, for a firm that has got its certificate from the tax authority.

    Args:
        home: where the firm's credentials are kept.
    """
    async with AsyncExitStack() as stack:

        async def serve(answer: Callable[..., Any]) -> VendorServer:
            return await stack.enter_async_context(vendor_server(answer))

        public_key, private_key = new_keys()
        push = await stack.enter_async_context(push_service(public_key))
        authority = await stack.enter_async_context(zatca.zatca_server(SignatureJudge()))
        payments = await serve(gateways.Gateways(_payments(records)).answer)
        bank = await serve(_bank(records).answer)
        bill_bank = await serve(_bills(records).answer)
        register = await serve(wathq.Register(_companies(records)).answer)
        rates = await serve(Rates(datetime.now(UTC)).er_api)
        await _onboard(database, records, authority, home / "zatca")
        webhook = await serve(lambda request: Reply(200, {"received": True}))
        ports = [urlsplit(url).port for url in (push.url, webhook.url)]
        yield DemoServices(
            push=push,
            browsers=[push.subscribe(), push.subscribe(), push.subscribe(gone=True)],
            webhook=webhook,
            settings={
                "from_email": records.firm.email,
                "from_name": records.firm.name_en,
                "vapid_public_key": public_key,
                "vapid_private_key": private_key,
                "contact_email": records.firm.email,
                "webhook_secret": new_secret(),
                "allowed_networks": tuple(f"127.0.0.0/8:{port}" for port in ports),
                "exchange_rate_url": rates.url,
                "stripe_secret_key": gateways.STRIPE_KEY,
                "stripe_url": payments.url,
                "moyasar_secret_key": gateways.MOYASAR_KEY,
                "moyasar_url": payments.url,
                "lean_client_id": lean.CLIENT_ID,
                "lean_client_secret": lean.CLIENT_SECRET,
                "lean_app_token": lean.APP_TOKEN,
                "lean_url": bank.url,
                "lean_auth_url": bank.url,
                "sadad_url": bill_bank.url,
                "sadad_token_url": f"{bill_bank.url}/oauth2/token",
                "sadad_client_id": bills.CLIENT_ID,
                "sadad_client_secret": bills.CLIENT_SECRET,
                "sadad_bill_path": bills.SHAPE["path"],
                "sadad_fields": bills.SHAPE["fields"],
                "sadad_paid": bills.SHAPE["paid"],
                "sadad_unpaid": bills.SHAPE["unpaid"],
                "wathq_api_key": wathq.KEY,
                "wathq_url": register.url,
                "zatca_environment": "simulation",
                "zatca_key": _ZATCA_KEY,
                "zatca_url": authority.url,
            },
        )


def _payments(records: DemoRecords) -> dict[str, Any]:
    """This run's payments, all of them made."""
    halalas = int(records.tax_invoice.total * 100)
    made = {}
    for key, payment in records.paid.items():
        name = payment.provider_payment_id or ""
        if key == "stripe":
            made[name] = gateways.intent(name, amount=halalas, amount_received=halalas)
        elif name:
            made[name] = gateways.moyasar_payment(name, amount=halalas)
    return made


def _bills(records: DemoRecords) -> bills.BillBank:
    """This run's bill, paid."""
    number, total = records.paid["sadad"].bill_number or "", records.tax_invoice.total
    return bills.BillBank({number: bills.bill(total=f"{total:.2f}", currency="SAR")})


def _bank(records: DemoRecords) -> lean.LeanBank:
    """An account with 250 transactions, which are three pages."""
    account = records.account
    now = datetime.now(UTC).replace(microsecond=0)
    rows = [
        lean.transaction(
            number,
            account_id=account.provider_account_id,
            booking_date_time=f"{now - timedelta(hours=3 * number):%Y-%m-%dT%H:%M:%SZ}",
        )
        for number in range(250)
    ]
    return lean.LeanBank(
        rows, account=account.provider_account_id or "", entity=account.provider_entity_id or ""
    )


def _companies(records: DemoRecords) -> dict[str, Any]:
    number = records.contract.counterparty_registration or ""
    return {number: wathq.company(crNationalNumber=number, name=records.contract.counterparty_name)}


async def _onboard(
    database: Database, records: DemoRecords, authority: zatca.ZatcaServer, folder: Path
) -> None:
    """Get the firm its certificate, as firms get theirs."""
    firm = records.firm
    vat_number = firm.vat_number or ""
    unit = Unit(
        vat_number=vat_number,
        organisation=firm.name_en or "",
        branch=vat_number[:10],
        name="demo",
        location="Riyadh",
        industry="Legal services",
    )
    gateway = ZatcaGateway(ZatcaEnvironment.SIMULATION, base_url=authority.url)
    try:
        credentials = CredentialFolder(folder, _ZATCA_KEY)
        await Onboarding(database, gateway, credentials).onboard(firm.id, otp=zatca.OTP, unit=unit)
    finally:
        await gateway.close()
