"""The gateway and the credentials that the settings ask for."""

from __future__ import annotations

from pathlib import Path

from toril.db.models.zatca import ZatcaEnvironment
from toril.db.session import Database
from toril.errors import ConfigurationError
from toril.queues.sync.zatca.credentials import CredentialFolder
from toril.queues.sync.zatca.gateway import ZatcaGateway
from toril.queues.sync.zatca.processor import ZatcaInvoices


def choose_zatca(
    database: Database,
    *,
    folder: Path,
    zatca_environment: str | None = None,
    zatca_key: str | None = None,
    zatca_url: str | None = None,
    zatca_exemptions: str | None = None,
) -> ZatcaInvoices | None:
    """What works invoices; ``None`` when no environment is set, as then nothing may be sent.

    Args:
        folder: where the credentials of firms are kept, encrypted.
        zatca_environment: ``sandbox``, ``simulation`` or ``production``.
        zatca_key: encrypts the credentials; at least 32 characters.
        zatca_url: base URL instead of the environment's.
        zatca_exemptions: why lines carry no VAT, by category: ``Z=VATEX-SA-33,E=VATEX-SA-29``.
    Raises:
        ConfigurationError: a value is missing or not acceptable.
    """
    access = choose_access(
        folder=folder, zatca_environment=zatca_environment, zatca_key=zatca_key, zatca_url=zatca_url
    )
    if access is None:
        return None
    pairs = [each.partition("=") for each in (zatca_exemptions or "").split(",") if each.strip()]
    return ZatcaInvoices(
        database, *access, exemption_codes={category.strip(): code.strip() for category, _, code in pairs}
    )


def choose_access(
    *,
    folder: Path,
    zatca_environment: str | None = None,
    zatca_key: str | None = None,
    zatca_url: str | None = None,
) -> tuple[ZatcaGateway, CredentialFolder] | None:
    """The gateway, and where the credentials of firms are; arguments and errors as of ``choose_zatca``."""
    if not zatca_environment:
        return None
    try:
        environment = ZatcaEnvironment(zatca_environment)
    except ValueError:
        raise ConfigurationError(
            f"ZATCA_ENVIRONMENT is {zatca_environment!r}; it must be one of {', '.join(ZatcaEnvironment)}"
        ) from None
    if not zatca_key:
        raise ConfigurationError(
            "ZATCA_ENVIRONMENT needs ZATCA_KEY too, which encrypts the credentials of firms"
        )
    return ZatcaGateway(environment, base_url=zatca_url), CredentialFolder(folder, zatca_key)
