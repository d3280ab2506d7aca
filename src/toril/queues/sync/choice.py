"""Which outside services the settings ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from toril.errors import ConfigurationError
from toril.queues.sync.access.firms import Build, FirmClients
from toril.queues.sync.access.store import CredentialStore
from toril.queues.sync.certificates import certificate_of_texts, client_certificate
from toril.queues.sync.currency.providers import ErApi
from toril.queues.sync.definition import Vendors, free_rates
from toril.queues.sync.lean.client import Lean
from toril.queues.sync.payments.gateway import PaymentGateway
from toril.queues.sync.payments.hyperpay import HyperPay
from toril.queues.sync.payments.moyasar import Moyasar
from toril.queues.sync.payments.stcpay import StcPay
from toril.queues.sync.payments.stripe import Stripe
from toril.queues.sync.sadad.door import BillDoor, BillShape
from toril.queues.sync.wathq.client import Wathq
from toril.queues.sync.zatca.processor import ZatcaInvoices


def choose_vendors(
    *,
    exchange_rate_api_key: str | None = None,
    exchange_rate_url: str | None = None,
    stripe_secret_key: str | None = None,
    stripe_url: str | None = None,
    moyasar_secret_key: str | None = None,
    moyasar_url: str | None = None,
    hyperpay_access_token: str | None = None,
    hyperpay_mada_entity_id: str | None = None,
    hyperpay_url: str | None = None,
    stcpay_client_code: str | None = None,
    stcpay_certificate: Path | None = None,
    stcpay_private_key: Path | None = None,
    stcpay_url: str | None = None,
    lean_client_id: str | None = None,
    lean_client_secret: str | None = None,
    lean_app_token: str | None = None,
    lean_url: str | None = None,
    lean_auth_url: str | None = None,
    lean_certificate: Path | None = None,
    lean_private_key: Path | None = None,
    sadad_url: str | None = None,
    sadad_token_url: str | None = None,
    sadad_client_id: str | None = None,
    sadad_client_secret: str | None = None,
    sadad_bill_path: str | None = None,
    sadad_fields: str | None = None,
    sadad_paid: str | None = None,
    sadad_unpaid: str | None = None,
    wathq_api_key: str | None = None,
    wathq_url: str | None = None,
    zatca: ZatcaInvoices | None = None,
    secrets: Sequence[str] = (),
) -> Vendors:
    """The services for ``sync_queue``; an argument is named like its setting.

    Args:
        secrets: of the installation, the present one first, which seal the credentials of firms; without one firms
            have none of their own.

    mada is looked up at HyperPay when that is set, else at Moyasar; STC Pay at STC Pay itself when that is set, else at
    Moyasar too.

    Raises:
        ConfigurationError: some of what a service needs is set and the rest is not, or it cannot be used.
    """
    gateways: dict[str, PaymentGateway] = {}
    if stripe_secret_key:
        gateways["stripe"] = Stripe(stripe_secret_key, base_url=stripe_url)
    if moyasar_secret_key:
        gateways["mada"] = gateways["stcpay"] = Moyasar(moyasar_secret_key, base_url=moyasar_url)
    if _all_or_none(
        "HyperPay",
        HYPERPAY_ACCESS_TOKEN=hyperpay_access_token,
        HYPERPAY_MADA_ENTITY_ID=hyperpay_mada_entity_id,
    ):
        gateways["mada"] = HyperPay(
            hyperpay_access_token or "", hyperpay_mada_entity_id or "", base_url=hyperpay_url
        )
    if _all_or_none(
        "STC Pay",
        STCPAY_CLIENT_CODE=stcpay_client_code,
        STCPAY_CERTIFICATE=stcpay_certificate,
        STCPAY_PRIVATE_KEY=stcpay_private_key,
    ):
        tls = client_certificate(stcpay_certificate or Path(), stcpay_private_key or Path())
        gateways["stcpay"] = StcPay(stcpay_client_code or "", tls, base_url=stcpay_url)
    lean = None
    if _all_or_none(
        "Lean",
        LEAN_CLIENT_ID=lean_client_id,
        LEAN_CLIENT_SECRET=lean_client_secret,
        LEAN_APP_TOKEN=lean_app_token,
    ):
        shows_certificate = _all_or_none(
            "Lean", LEAN_CERTIFICATE=lean_certificate, LEAN_PRIVATE_KEY=lean_private_key
        )
        lean = Lean(
            lean_client_id or "",
            lean_client_secret or "",
            lean_app_token or "",
            base_url=lean_url,
            auth_url=lean_auth_url,
            tls=client_certificate(lean_certificate or Path(), lean_private_key or Path())
            if shows_certificate
            else None,
        )
    builders: dict[str, Build] = {
        "stripe": lambda own: Stripe(own["secretKey"], base_url=stripe_url),
        "moyasar": lambda own: Moyasar(own["secretKey"], base_url=moyasar_url),
        "hyperpay": lambda own: HyperPay(own["accessToken"], own["madaEntityId"], base_url=hyperpay_url),
        "stcpay": lambda own: StcPay(
            own["clientCode"],
            certificate_of_texts(own["certificate"], own["privateKey"]),
            base_url=stcpay_url,
        ),
        "lean": lambda own: Lean(
            own["clientId"],
            own["clientSecret"],
            own["appToken"],
            base_url=lean_url,
            auth_url=lean_auth_url,
            tls=certificate_of_texts(own["certificate"], own["privateKey"]) if "certificate" in own else None,
        ),
    }
    bills = None
    if _all_or_none(
        "SADAD",
        SADAD_URL=sadad_url,
        SADAD_TOKEN_URL=sadad_token_url,
        SADAD_BILL_PATH=sadad_bill_path,
        SADAD_FIELDS=sadad_fields,
        SADAD_PAID=sadad_paid,
        SADAD_UNPAID=sadad_unpaid,
    ):
        shape = BillShape.parse(
            path=sadad_bill_path or "",
            fields=sadad_fields or "",
            paid=sadad_paid or "",
            unpaid=sadad_unpaid or "",
        )

        def open_door(own: Mapping[str, str]) -> BillDoor:
            return BillDoor(
                shape,
                base_url=sadad_url or "",
                token_url=sadad_token_url or "",
                client_id=own["clientId"],
                client_secret=own["clientSecret"],
            )

        builders["sadad"] = open_door
        if _all_or_none("SADAD", SADAD_CLIENT_ID=sadad_client_id, SADAD_CLIENT_SECRET=sadad_client_secret):
            bills = open_door({"clientId": sadad_client_id or "", "clientSecret": sadad_client_secret or ""})
    elif sadad_client_id or sadad_client_secret:
        raise ConfigurationError("SADAD needs SADAD_URL and the other settings of SADAD_* too")
    wathq = Wathq(wathq_api_key, base_url=wathq_url) if wathq_api_key else None
    keyed = (
        [ErApi(exchange_rate_api_key, base_url=exchange_rate_url)]
        if exchange_rate_api_key or exchange_rate_url
        else []
    )
    return Vendors(
        rates=keyed if exchange_rate_url else (*keyed, *free_rates()),
        gateways=gateways,
        lean=lean,
        bills=bills,
        wathq=wathq,
        zatca=zatca,
        firms=FirmClients(store=CredentialStore(secrets), builders=builders) if secrets else None,
    )


def _all_or_none(service: str, **values: object) -> bool:
    """Whether all are set.

    Raises:
        ConfigurationError: some are and others are not.
    """
    missing = [name for name, value in values.items() if not value]
    if missing and len(missing) < len(values):
        raise ConfigurationError(f"{service} needs {' and '.join(missing)} too")
    return not missing
