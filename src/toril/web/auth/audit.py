"""What users do, written down."""

from __future__ import annotations

from typing import Any

from toril.db.models import AuditEntry
from toril.queues.texts import storable
from toril.web.audit_batches import AuditBatches
from toril.web.auth.principal import Principal


class Audit:
    """Writes entries of the audit log for one request.

    Call it before the act: then nothing is done that is not recorded, and an entry says what was asked for, whether
    or not it could be done. For a change of records use ``entry`` in the same transaction instead.
    """

    def __init__(self, batches: AuditBatches, user: Principal, address: str | None) -> None:
        self._batches, self._user, self._address = batches, user, address

    async def __call__(self, action: str, target: str | None = None, **details: Any) -> None:
        """Write one entry.

        Args:
            action: such as ``queue.pause``.
            target: what it is done to.
            details: more; never secrets, and never a job's data.
        """
        await self._batches.write(self.row(action, target, **details))

    def entry(self, action: str, target: str | None = None, **details: Any) -> AuditEntry:
        """The row, for a transaction that the caller opened: ``session.add(audit.entry(…))``."""
        return AuditEntry(**self.row(action, target, **details))

    def row(self, action: str, target: str | None = None, **details: Any) -> dict[str, Any]:
        """The row's values, for many rows at once. What no database takes in a text is shown as a question mark."""
        if self._user.key_id is not None:
            details["apiKey"] = self._user.key_id
        return {
            "firm_id": self._user.firm_id,
            "user_id": self._user.user_id,
            "action": action,
            "target": storable(target),
            "details": storable(details),
            "address": self._address,
        }
