"""Contracts."""

from __future__ import annotations

from toril.db.models.contracts import Contract
from toril.db.repositories.base import Repository


class Contracts(Repository):
    """The firm's contracts."""

    async def get(self, contract_id: str, *, firm_id: str) -> Contract:
        """The firm's contract.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(Contract, contract_id, firm_id=firm_id)
