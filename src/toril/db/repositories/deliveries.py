"""What jobs handed to outside services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update

from toril.db.models.deliveries import Delivery
from toril.db.models.mail import SendStatus
from toril.db.repositories.base import Repository
from toril.db.upsert import insert_new, upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryNote:
    """What is known of one delivery. ``message_id`` is the service's name for it, ``provider`` which
    service, where there are several; ``error`` says why it failed."""

    status: SendStatus
    message_id: str | None = None
    error: str | None = None
    provider: str | None = None


class Deliveries(Repository):
    """What a job has handed over. ``job`` and ``recipient`` are as ``Delivery`` says."""

    async def list(self, job: str) -> dict[str, DeliveryNote]:
        """What is known of a job's deliveries, by recipient."""
        found = await self.session.scalars(select(Delivery).where(Delivery.job == job))
        return {each.recipient: _note(each) for each in found}

    async def begin(self, job: str, recipient: str) -> DeliveryNote | None:
        """Note that something is about to be handed over, unless it was before.

        Returns:
            What was known already; None if nothing was. One that had failed is ``sending`` from now on.
        """
        key = ["job", "recipient"]
        if await insert_new(self.session, Delivery, [{"job": job, "recipient": recipient}], key=key):
            return None
        this = (Delivery.job == job, Delivery.recipient == recipient)
        known = _note((await self.session.scalars(select(Delivery).where(*this).with_for_update())).one())
        await self.session.execute(
            update(Delivery)
            .where(*this, Delivery.status == SendStatus.FAILED)
            .values(status=SendStatus.SENDING, error=None)
        )
        return known

    async def save(self, job: str, notes: Mapping[str, DeliveryNote]) -> None:
        """Note what came of deliveries, by recipient, whether they were noted before or not."""
        rows: Sequence[dict[str, object]] = [
            {
                "job": job,
                "recipient": recipient,
                "status": note.status,
                "message_id": note.message_id,
                "error": note.error,
                "provider": note.provider,
            }
            for recipient, note in notes.items()
        ]
        change = ["status", "message_id", "error", "provider"]
        await upsert(self.session, Delivery, rows, key=["job", "recipient"], change=change)


def _note(delivery: Delivery) -> DeliveryNote:
    return DeliveryNote(
        status=delivery.status,
        message_id=delivery.message_id,
        error=delivery.error,
        provider=delivery.provider,
    )
