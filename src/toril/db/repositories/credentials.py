"""Credentials of firms at outside services, as they are stored: encrypted."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update

from toril.db.models.credentials import FirmCredential
from toril.db.models.firms import Firm
from toril.db.repositories.base import Repository
from toril.db.upsert import upsert


class FirmCredentials(Repository):
    """The firm's credentials."""

    async def find(self, service: str, *, firm_id: str) -> FirmCredential | None:
        """Those at one service; None when there are none."""
        return await self.session.scalar(
            select(FirmCredential).where(FirmCredential.firm_id == firm_id, FirmCredential.service == service)
        )

    async def list(self, *, firm_id: str) -> Sequence[FirmCredential]:
        """All of them, by service."""
        statement = select(FirmCredential).where(FirmCredential.firm_id == firm_id)
        return (await self.session.scalars(statement.order_by(FirmCredential.service))).all()

    async def after(self, last: FirmCredential | None, *, limit: int) -> Sequence[FirmCredential]:
        """Those of all firms by id, so many after ``last``, or from the first on."""
        statement = select(FirmCredential).order_by(FirmCredential.id).limit(limit)
        if last is not None:
            statement = statement.where(FirmCredential.id > last.id)
        return (await self.session.scalars(statement)).all()

    async def replace(self, stored: FirmCredential, sealed: str) -> bool:
        """Store the same credentials as another text; False if they were stored anew meanwhile, or removed."""
        replaced = await self.session.execute(
            update(FirmCredential)
            .where(FirmCredential.id == stored.id, FirmCredential.sealed == stored.sealed)
            .values(sealed=sealed)
            .returning(FirmCredential.id)
        )
        return replaced.first() is not None

    async def put(self, service: str, *, firm_id: str, sealed: str) -> None:
        """Store those at one service, instead of earlier ones."""
        row = {"firm_id": firm_id, "service": service, "sealed": sealed}
        await upsert(self.session, FirmCredential, [row], key=["firm_id", "service"], change=["sealed"])

    async def remove(self, service: str, *, firm_id: str) -> bool:
        """Delete those at one service; False when there were none."""
        removed = await self.session.execute(
            delete(FirmCredential)
            .where(FirmCredential.firm_id == firm_id, FirmCredential.service == service)
            .returning(FirmCredential.id)
        )
        return removed.first() is not None

    async def has_one_firm(self) -> bool:
        """Whether the installation is one firm's, so that the credentials of the installation are that firm's."""
        firms = select(Firm.id).limit(2).subquery()
        return await self.session.scalar(select(func.count()).select_from(firms)) == 1
