"""How each firm stands with ZATCA: its credentials, and its documents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from toril.db.models.zatca import ZatcaEnvironment, ZatcaStatus
from toril.db.repositories.users import Firms
from toril.db.repositories.zatca import DocumentCounts, ZatcaDocuments
from toril.db.session import Database
from toril.errors import NotConfiguredError
from toril.queues.sync.zatca.certificate import SigningIdentity
from toril.queues.sync.zatca.credentials import CredentialSource

WARN_BEFORE: Final = timedelta(days=30)  #: the end of a certificate
OVERDUE: Final = timedelta(hours=20)  #: a simplified document must be reported within 24


class Access(StrEnum):
    """What a firm's credentials are good for."""

    NONE = "none"
    READY = "ready"
    EXPIRING = "expiring"  #: works, and should be renewed
    EXPIRED = "expired"
    OTHER_ENVIRONMENT = "other environment"
    UNREADABLE = "unreadable"  #: stored under another key, or damaged


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A firm at ZATCA.

    Attributes:
        expires_at: of the certificate; None without one that can be read.
        documents: how many are in each state.
        pending_since: when the oldest pending one was signed.
        is_overdue: that is so long ago that somebody must look.
    """

    firm_id: str
    name: str
    vat_number: str | None
    access: Access
    expires_at: datetime | None
    documents: dict[ZatcaStatus, int]
    pending_since: datetime | None
    is_overdue: bool

    @property
    def needs_somebody(self) -> bool:
        """Whether its documents cannot be sent, or are late."""
        return self.is_overdue or self.access in (
            Access.EXPIRED,
            Access.OTHER_ENVIRONMENT,
            Access.UNREADABLE,
        )


async def standings(
    db: Database, credentials: CredentialSource, environment: ZatcaEnvironment, *, now: datetime
) -> list[Standing]:
    """How all firms stand, by id."""
    async with db.reading() as session:
        firms = await Firms(session).list()
        counts = await ZatcaDocuments(session).counts(environment)
    found = []
    for firm in firms:
        access, expires_at = await _access(credentials, firm.id, environment, now)
        documents = counts.get(firm.id, DocumentCounts())
        since = documents.pending_since
        found.append(
            Standing(
                firm_id=firm.id,
                name=firm.name_ar or firm.name_en,
                vat_number=firm.vat_number,
                access=access,
                expires_at=expires_at,
                documents={status: documents.by_status.get(status, 0) for status in ZatcaStatus},
                pending_since=since,
                is_overdue=since is not None and now - since > OVERDUE,
            )
        )
    return found


async def _access(
    credentials: CredentialSource, firm_id: str, environment: ZatcaEnvironment, now: datetime
) -> tuple[Access, datetime | None]:
    try:
        stored = await credentials.get(firm_id)
        if stored is None:
            return Access.NONE, None
        is_sample = stored.environment is ZatcaEnvironment.SANDBOX
        ends = SigningIdentity.load(stored.token, stored.private_key, sample=is_sample).expires_at
    except NotConfiguredError:
        return Access.UNREADABLE, None
    if stored.environment is not environment:
        return Access.OTHER_ENVIRONMENT, ends
    if ends <= now:
        return Access.EXPIRED, ends
    return (Access.EXPIRING if ends - now < WARN_BEFORE else Access.READY), ends
