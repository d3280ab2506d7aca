"""The work of a job ``whatsapp-messages``: read what the webhook stored into messages and their states.

Meta has no request that lists messages: they come by its webhook only, which stores each delivery at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from toril.db.errors import RecordNotFoundError
from toril.db.models.whatsapp import WhatsAppNotification, WhatsAppNumber
from toril.db.repositories.whatsapp import WhatsAppInbox, WhatsAppMessages
from toril.db.session import Database
from toril.queues.base import RunningJob
from toril.queues.sync.payloads import WhatsAppInboxes, WhatsAppSync
from toril.queues.sync.whatsapp.notification import Delivery, read_delivery

log = logging.getLogger("toril.queues.sync")

BATCH: Final = 100  #: deliveries in one transaction


@dataclass(slots=True)
class _Counts:
    deliveries: int = 0
    unreadable: int = 0
    messages: int = 0
    new: int = 0
    statuses: int = 0

    def result(self) -> dict[str, Any]:
        return {
            "success": True,
            "syncedCount": self.new,
            "totalMessages": self.messages,
            "statusCount": self.statuses,
            "failedCount": self.unreadable,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxReader:
    """Works the inbox of a firm's number.

    Attributes:
        clock: the present, aware.
    """

    database: Database
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def __call__(self, payload: WhatsAppSync, job: RunningJob) -> dict[str, Any]:
        """Work all deliveries that are waiting. Each is worked once, whoever else does so at the same time.

        A delivery with something that cannot be read keeps the reason, and is not tried again; the rest of it counts.

        Returns:
            ``{"success": True, "syncedCount", "totalMessages", "statusCount", "failedCount"}``: new messages, messages
            in all, states that were news, and deliveries that could not be read whole.
        Raises:
            RecordNotFoundError: the firm has no such number.
        """
        counts = _Counts()
        await self._work(payload, job, counts)
        await job.update_progress(100)
        return counts.result()

    async def work_all(self, payload: WhatsAppInboxes, job: RunningJob) -> dict[str, Any]:
        """Work the inboxes of all numbers in which something is waiting.

        A delivery has its job queued when it comes; what was stored while the queue was away, or whose job failed for
        good, waits for this.

        Returns:
            As ``__call__``, with ``numberCount``, for all of them together.
        """
        async with self.database.reading() as session:
            numbers = await WhatsAppMessages(session).list_waiting()
        counts = _Counts()
        for done, number in enumerate(numbers):
            await job.update_progress(round(100 * done / len(numbers)))
            one = WhatsAppSync(firm_id=number.firm_id, phone_number_id=number.phone_number_id)
            with suppress(RecordNotFoundError):  # it was taken away since
                await self._work(one, job, counts, tell=False)
        await job.update_progress(100)
        return {
            "success": True,
            "syncedCount": counts.new,
            "totalMessages": counts.messages,
            "statusCount": counts.statuses,
            "failedCount": counts.unreadable,
            "numberCount": len(numbers),
        }

    async def _work(
        self, payload: WhatsAppSync, job: RunningJob, counts: _Counts, *, tell: bool = True
    ) -> None:
        while await self._work_batch(payload, job, counts) == BATCH:
            if tell:
                await job.update_progress({"deliveries": counts.deliveries, "messages": counts.messages})

    async def _work_batch(self, payload: WhatsAppSync, job: RunningJob, counts: _Counts) -> int:
        """Read some deliveries and mark them as worked, in one transaction; returns how many."""
        problems = []
        async with self.database.session() as session:
            number = await WhatsAppMessages(session).get_number(
                payload.phone_number_id, firm_id=payload.firm_id
            )
            claimed = await WhatsAppInbox(session).claim(number.phone_number_id, limit=BATCH)
            deliveries = [read_delivery(each.payload, number.phone_number_id) for each in claimed]
            new, statuses = await _store(WhatsAppMessages(session), number, deliveries)
            for notification, delivery in zip(claimed, deliveries, strict=True):
                notification.processed_at = self.clock()
                notification.error = "; ".join(delivery.problems) or None
                if delivery.problems:
                    problems.append(notification)
        for notification in problems:
            await _tell(job, notification)
        counts.deliveries += len(claimed)
        counts.unreadable += len(problems)
        counts.messages += sum(len(delivery.messages) for delivery in deliveries)
        counts.new += new
        counts.statuses += statuses
        return len(claimed)


async def _store(
    messages: WhatsAppMessages, number: WhatsAppNumber, deliveries: list[Delivery]
) -> tuple[int, int]:
    """How many messages, and how many states, were news."""
    new = await messages.save(number, [row for delivery in deliveries for row in delivery.messages])
    changed = 0
    for delivery in deliveries:
        for change in delivery.statuses:
            changed += await messages.apply_status(
                number,
                change.message_id,
                status=change.status,
                at=change.at,
                error=change.error,
                contact=change.contact,
            )
    return new, changed


async def _tell(job: RunningJob, notification: WhatsAppNotification) -> None:
    log.warning("whatsapp_delivery_unreadable", extra={"notification_id": notification.id})
    await job.log(f"delivery {notification.id} could not be read whole: {notification.error}")
