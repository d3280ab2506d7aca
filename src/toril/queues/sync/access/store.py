"""Credentials of firms in the database: sealed when they go in, opened when a job needs them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.models.credentials import FirmCredential
from toril.db.repositories.credentials import FirmCredentials
from toril.queues.sync.access.sealing import SealAge, Sealer
from toril.queues.sync.access.services import checked, require_service

_PURPOSE: Final = "credentials of firms"


class CredentialStore:
    """Keeps credentials of firms.

    Args:
        secrets: of the installation, the present one first; see ``Sealer``.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._sealer = Sealer(secrets, purpose=_PURPOSE)

    async def put(
        self, session: AsyncSession, service: str, values: Mapping[str, object], *, firm_id: str
    ) -> None:
        """Store a firm's credentials at a service, instead of earlier ones.

        Raises:
            OptionError: they cannot be credentials of that service.
        """
        text = json.dumps(await checked(service, values))
        sealed = self._sealer.seal(text, place=_place(service, firm_id))
        await FirmCredentials(session).put(service, firm_id=firm_id, sealed=sealed)

    async def remove(self, session: AsyncSession, service: str, *, firm_id: str) -> bool:
        """Delete a firm's credentials at a service; False when there were none.

        Raises:
            OptionError: there is no such service.
        """
        return await FirmCredentials(session).remove(require_service(service).name, firm_id=firm_id)

    def open(self, stored: FirmCredential) -> dict[str, str]:
        """The values, by their names.

        Raises:
            NotConfiguredError: they do not open.
        """
        place = _place(stored.service, stored.firm_id)
        values: dict[str, str] = json.loads(self._sealer.open(stored.sealed, place=place))
        return values

    def age(self, stored: FirmCredential) -> SealAge:
        """Which secret opens them."""
        place = _place(stored.service, stored.firm_id)
        return self._sealer.age(stored.sealed, place=place)

    async def seal_again(self, session: AsyncSession, stored: FirmCredential) -> bool:
        """Store under the present secret what a replaced one opens; False if it was stored anew meanwhile.

        Raises:
            NotConfiguredError: they do not open.
        """
        place = _place(stored.service, stored.firm_id)
        sealed = self._sealer.seal(self._sealer.open(stored.sealed, place=place), place=place)
        return await FirmCredentials(session).replace(stored, sealed)


def _place(service: str, firm_id: str) -> str:
    return f"firm {firm_id} at {service}"
