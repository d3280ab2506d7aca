"""Each firm's chains of tax documents, one in each environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, or_, select

from toril.db.models.zatca import ZatcaDocument, ZatcaEnvironment, ZatcaStatus, ZatcaUnit
from toril.db.repositories.base import Repository
from toril.db.upsert import insert_new


@dataclass(slots=True)
class DocumentCounts:
    """How many documents of a firm are in each state, and since when the oldest pending one waits."""

    by_status: dict[ZatcaStatus, int] = field(default_factory=dict)
    pending_since: datetime | None = None


class ZatcaDocuments(Repository):
    """The firm's documents. A new one is signed between ``lock_unit`` and ``append``, in one transaction."""

    async def lock_unit(self, *, firm_id: str, environment: ZatcaEnvironment) -> ZatcaUnit:
        """The end of the firm's chain, which nobody else can extend until this transaction ends."""
        row = {"firm_id": firm_id, "environment": environment}
        await insert_new(self.session, ZatcaUnit, [row], key=["firm_id", "environment"])
        unit = await self.session.scalars(
            select(ZatcaUnit)
            .where(ZatcaUnit.firm_id == firm_id, ZatcaUnit.environment == environment)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return unit.one()

    async def append(self, unit: ZatcaUnit, document: ZatcaDocument) -> None:
        """Store a signed document as the chain's next; its counter must be ``unit.last_icv + 1``."""
        document.firm_id, document.environment = unit.firm_id, unit.environment
        unit.last_icv, unit.last_hash = document.icv, document.hash
        self.session.add(document)
        await self.session.flush()

    async def latest(
        self, invoice_id: str, *, firm_id: str, environment: ZatcaEnvironment
    ) -> ZatcaDocument | None:
        """The newest document of an invoice in an environment; earlier ones were rejected."""
        return await self.session.scalar(
            select(ZatcaDocument)
            .where(
                ZatcaDocument.invoice_id == invoice_id,
                ZatcaDocument.firm_id == firm_id,
                ZatcaDocument.environment == environment,
            )
            .order_by(ZatcaDocument.icv.desc())
            .limit(1)
        )

    async def list_pending(
        self, *, environment: ZatcaEnvironment | None, tried_before: datetime, or_after: datetime
    ) -> Sequence[tuple[str, str]]:
        """Firm and invoice of each document that is pending and was not sent since, the longest untouched first.

        Of all firms, for whoever runs the installation.

        Args:
            environment: only of this one; None for all.
            or_after: a time to come; what was sent after it, was so by a clock that went back since.
        """
        last_try = func.coalesce(ZatcaDocument.submitted_at, ZatcaDocument.created_at)
        statement = (
            select(ZatcaDocument.firm_id, ZatcaDocument.invoice_id)
            .where(
                ZatcaDocument.status == ZatcaStatus.PENDING,
                or_(last_try < tried_before, last_try > or_after),
                *(() if environment is None else (ZatcaDocument.environment == environment,)),
            )
            .order_by(last_try, ZatcaDocument.id)
        )
        return [(firm_id, invoice_id) for firm_id, invoice_id in await self.session.execute(statement)]

    async def counts(self, environment: ZatcaEnvironment) -> dict[str, DocumentCounts]:
        """For whoever runs the installation: how the documents of each firm stand, by the firm's id."""
        statement = (
            select(
                ZatcaDocument.firm_id, ZatcaDocument.status, func.count(), func.min(ZatcaDocument.created_at)
            )
            .where(ZatcaDocument.environment == environment)
            .group_by(ZatcaDocument.firm_id, ZatcaDocument.status)
        )
        found: dict[str, DocumentCounts] = {}
        for firm_id, status, number, since in await self.session.execute(statement):
            of_firm = found.setdefault(firm_id, DocumentCounts())
            of_firm.by_status[status] = number
            if status is ZatcaStatus.PENDING:
                of_firm.pending_since = since
        return found
