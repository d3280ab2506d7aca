"""Tax documents: what was signed and sent to ZATCA, and each firm's chain of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified, OfFirm, Stamped
from toril.db.types import Id


class ZatcaEnvironment(StrEnum):
    """Where documents go; a certificate works only where it was issued, a document counts only where it was sent."""

    SANDBOX = "sandbox"
    SIMULATION = "simulation"
    PRODUCTION = "production"


class ZatcaKind(StrEnum):
    """A standard document is cleared before the buyer gets it; a simplified one is reported within 24 hours."""

    STANDARD = "standard"
    SIMPLIFIED = "simplified"


class ZatcaStatus(StrEnum):
    PENDING = "pending"
    REPORTED = "reported"
    CLEARED = "cleared"
    REJECTED = "rejected"


class ZatcaUnit(Identified, OfFirm, Stamped, Base):
    """A firm's signing unit in one environment: the counter and the last hash of its chain. Its row is the lock for
    signing."""

    __tablename__ = "zatca_units"
    __table_args__ = (UniqueConstraint("firm_id", "environment"),)

    environment: Mapped[ZatcaEnvironment]
    last_icv: Mapped[int] = mapped_column(default=0)
    last_hash: Mapped[str | None] = mapped_column(String(128))


class ZatcaDocument(Identified, OfFirm, Stamped, Base):
    """A signed tax document. Its bytes are stored before they are first sent, and never made again.

    A rejected one keeps its place in the chain; the corrected invoice gets a new document.
    """

    __tablename__ = "zatca_documents"
    __table_args__ = (
        UniqueConstraint("firm_id", "environment", "icv"),
        UniqueConstraint("uuid"),
        CheckConstraint("icv > 0", name="icv"),
        Index(None, "firm_id", "status"),
        Index(None, "status", "environment"),
        Index(None, "invoice_id", "icv"),
    )

    invoice_id: Mapped[str] = mapped_column(Id, ForeignKey("invoices.id"))
    environment: Mapped[ZatcaEnvironment]
    kind: Mapped[ZatcaKind]
    status: Mapped[ZatcaStatus] = mapped_column(default=ZatcaStatus.PENDING)
    uuid: Mapped[str] = mapped_column(String(36))
    icv: Mapped[int]  #: invoice counter value, without gaps within the firm and environment
    previous_hash: Mapped[str] = mapped_column(String(128))
    hash: Mapped[str] = mapped_column(String(128))
    xml: Mapped[str]
    qr: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=0)
    submission_unknown: Mapped[bool] = mapped_column(default=False)  #: sent, and no answer came
    submitted_at: Mapped[datetime | None]
    cleared_xml: Mapped[str | None]  #: as ZATCA signed it; then this is the legal document
    answer: Mapped[dict[str, Any] | None]

    @property
    def has_code(self) -> bool:
        """Whether the invoice is printed with its code: a simplified one is given to the buyer before it is reported, a
        standard one only once it is accepted."""
        if self.kind is ZatcaKind.SIMPLIFIED:
            return self.status is not ZatcaStatus.REJECTED
        return self.status in (ZatcaStatus.CLEARED, ZatcaStatus.REPORTED)
