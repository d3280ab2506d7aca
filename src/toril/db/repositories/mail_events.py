"""What a provider told us about mails it had taken, and which of our own records of mails that changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import select, text, update

from toril.db.models.mail import BulkSend, CampaignSend, SendStatus
from toril.db.models.mail_events import MailEvent
from toril.db.repositories.base import Repository
from toril.db.upsert import insert_new

#: The provider's words for a mail that did not arrive. Source: Resend's documentation, "Event types".
_DID_NOT_ARRIVE: Final = ("email.bounced", "email.failed", "email.suppressed")

#: The first key of PostgreSQL's locks that are about a mail; the second is made of its id.
_LOCKS: Final = 0x6D61696C


class MailEvents(Repository):
    """Events, which come more than once, in any order, and before we have noted that the mail was taken.

    Two transactions know half of it each: one stores the event and looks for the mail, the other notes the mail's id
    and looks for events. A lock on the id lets one of them see what the other did, whichever is first.
    """

    async def receive(self, values: dict[str, Any]) -> bool:
        """Store an event, unless it came before; returns whether it is new.

        A mail that did not arrive is noted as failed, now or as soon as it is noted as sent.

        Args:
            values: attributes of ``MailEvent``.
        """
        message_id = values["message_id"]
        await self.lock([message_id])
        if not await insert_new(self.session, MailEvent, [values], key=["event_id"]):
            return False
        if message_id and values["type"] in _DID_NOT_ARRIVE:
            error = failure_of(values["type"], values["details"])
            for model in (CampaignSend, BulkSend):
                await self._mark_failed(model, message_id, error)
        return True

    async def apply_earlier(
        self, model: type[CampaignSend | BulkSend], message_ids: Iterable[str | None]
    ) -> None:
        """Note as failed which of these mails, just noted as sent, are known not to have arrived; ``lock`` them first,
        before their records."""
        ids = {each for each in message_ids if each}
        if not ids:
            return
        statement = select(MailEvent.message_id, MailEvent.type, MailEvent.details).where(
            MailEvent.message_id.in_(ids), MailEvent.type.in_(_DID_NOT_ARRIVE)
        )
        for message_id, kind, details in (await self.session.execute(statement.order_by(MailEvent.at))).all():
            await self._mark_failed(model, message_id, failure_of(kind, details))

    async def _mark_failed(self, model: type[CampaignSend | BulkSend], message_id: str, error: str) -> None:
        await self.session.execute(
            update(model)
            .where(model.message_id == message_id, model.status == SendStatus.SENT)
            .values(status=SendStatus.FAILED, error=error)
        )

    async def lock(self, message_ids: Iterable[str | None]) -> None:
        """Let no other transaction tell or be told what became of these mails until this one ends."""
        ids = [each for each in message_ids if each]
        if ids and self.session.get_bind().dialect.name == "postgresql":  # on SQLite one writes at a time
            await self.session.execute(
                # By number, as two ids may have the same one.
                text(
                    "SELECT pg_advisory_xact_lock(CAST(:about AS integer), number) FROM (SELECT DISTINCT hashtext(id) "
                    "AS number FROM unnest(CAST(:ids AS text[])) AS id ORDER BY number) AS locks"
                ),
                {"about": _LOCKS, "ids": ids},
            )


def failure_of(kind: str, details: dict[str, Any]) -> str:
    """Why a mail did not arrive, as the provider tells it."""
    for name in ("bounce", "failed", "suppressed"):
        told = details.get(name)
        if isinstance(told, dict) and isinstance(reason := told.get("message") or told.get("reason"), str):
            return f"{kind}: {reason}"[:500]
    return kind
