"""ZATCA phase 2: tax documents signed into each firm's chain, and cleared or reported at the authority's gateway."""

from toril.db.models.zatca import ZatcaEnvironment
from toril.queues.sync.zatca.chain import RejectedError
from toril.queues.sync.zatca.choice import choose_access, choose_zatca
from toril.queues.sync.zatca.credentials import (
    CredentialFolder,
    CredentialSource,
    ZatcaCredentials,
)
from toril.queues.sync.zatca.csr import Unit, unit_of
from toril.queues.sync.zatca.gateway import ZatcaGateway
from toril.queues.sync.zatca.onboarding import Onboarding
from toril.queues.sync.zatca.processor import ZatcaInvoices
from toril.queues.sync.zatca.standing import Standing, standings

__all__ = [
    "CredentialFolder",
    "CredentialSource",
    "Onboarding",
    "RejectedError",
    "Standing",
    "Unit",
    "ZatcaCredentials",
    "ZatcaEnvironment",
    "ZatcaGateway",
    "ZatcaInvoices",
    "choose_access",
    "choose_zatca",
    "standings",
    "unit_of",
]
