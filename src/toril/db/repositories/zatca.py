"""Each firm's chain of tax documents."""

from __future__ import annotations

from sqlalchemy import select

from toril.db.models.zatca import ZatcaDocument, ZatcaUnit
from toril.db.repositories.base import Repository
from toril.db.upsert import insert_new


class ZatcaDocuments(Repository):
    """The firm's documents. A new one is signed between ``lock_unit`` and ``append``, in one transaction."""

    async def lock_unit(self, *, firm_id: str) -> ZatcaUnit:
        """The end of the firm's chain, which nobody else can extend until this transaction ends."""
        await insert_new(self.session, ZatcaUnit, [{"firm_id": firm_id}], key=["firm_id"])
        unit = await self.session.scalars(
            select(ZatcaUnit)
            .where(ZatcaUnit.firm_id == firm_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return unit.one()

    async def append(self, unit: ZatcaUnit, document: ZatcaDocument) -> None:
        """Store a signed document as the chain's next; its counter must be ``unit.last_icv + 1``."""
        document.firm_id = unit.firm_id
        unit.last_icv, unit.last_hash = document.icv, document.hash
        self.session.add(document)
        await self.session.flush()

    async def latest(self, invoice_id: str, *, firm_id: str) -> ZatcaDocument | None:
        """The newest document of an invoice; earlier ones were rejected."""
        return await self.session.scalar(
            select(ZatcaDocument)
            .where(ZatcaDocument.invoice_id == invoice_id, ZatcaDocument.firm_id == firm_id)
            .order_by(ZatcaDocument.icv.desc())
            .limit(1)
        )
