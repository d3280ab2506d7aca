"""The type ``sms``: one message to one phone, never twice."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from toril.db.insist import insist
from toril.db.models.mail import SendStatus
from toril.db.repositories.deliveries import Deliveries, DeliveryNote
from toril.db.repositories.sms import SmsOptOuts
from toril.db.session import Database
from toril.errors import PayloadError, TorilError, UnknownOutcomeError
from toril.queues.base import RunningJob
from toril.queues.job_key import job_key
from toril.queues.notification.payloads import Sms
from toril.queues.notification.phones import masked
from toril.queues.notification.providers.base import OptedOutError, SentSms, SmsMessage, SmsProvider
from toril.queues.notification.results import SmsResult
from toril.queues.notification.segments import count_segments

log = logging.getLogger("toril.queues.notification")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSender:
    """Sends the SMS of one job.

    No provider recognises a message that comes a second time. So it is noted before it is handed over, and what came
    of it after; a job that finds a note without an outcome, because its worker was killed in between, does not send.

    Attributes:
        max_segments: a longer text is refused.
    """

    provider: SmsProvider
    database: Database
    max_segments: int = 10

    async def __call__(self, payload: Sms, job: RunningJob) -> SmsResult:
        """Send one SMS.

        Returns:
            ``{"success": True, "phoneNumber": …, "messageId": …, "provider": …, "status": …, "segments": …}``, the
            number in E.164; without success and with the status ``opted-out`` for who wants no messages.

        Raises:
            PayloadError: the text has too many segments.
            UnknownOutcomeError: it may have been sent, now or by an earlier attempt. Whoever retries the job by hand
                sends it again.
        """
        segments = count_segments(payload.message)
        if segments.count > self.max_segments:
            raise PayloadError(
                f"message: it would be sent as {segments.count} segments in {segments.alphabet}; the limit is "
                f"{self.max_segments}",
                field="message",
            )
        await job.update_progress(10)
        key = job_key("notification", job)
        if await self._has_opted_out(payload.phone_number):
            await job.log("this number has opted out of our messages; nothing was sent")
            await job.update_progress(100)
            return {
                "success": False,
                "phoneNumber": payload.phone_number,
                "messageId": None,
                "provider": self.provider.name,
                "status": "opted-out",
                "segments": segments.count,
            }
        sent = await self._earlier(key, payload.phone_number)
        if sent is None:
            await job.update_progress(30)
            sent = await self._send(key, payload, job)
        await job.update_progress(100)
        return {
            "success": True,
            "phoneNumber": payload.phone_number,
            "messageId": sent.message_id,
            "provider": sent.provider or self.provider.name,
            "status": sent.status,
            "segments": segments.count,
        }

    async def _earlier(self, key: str, number: str) -> SentSms | None:
        """What an earlier attempt has sent; None when this one may send, and has been noted."""
        async with self.database.session() as session:
            deliveries = Deliveries(session)
            known = await deliveries.begin(key, number)
            if known is None or known.status is SendStatus.FAILED:
                return None
            if known.status is SendStatus.SENT:
                return SentSms(
                    message_id=known.message_id or "", status="queued", provider=known.provider or ""
                )
            await deliveries.save(
                key, {number: DeliveryNote(status=SendStatus.FAILED, error="unknown outcome")}
            )
        raise UnknownOutcomeError(
            f"an earlier attempt began to send this SMS to {masked(number)}, and ended before it knew what came of it. "
            f"It is not sent again: look it up at {self.provider.name}, and retry the job if it did not arrive"
        )

    async def _send(self, key: str, payload: Sms, job: RunningJob) -> SentSms:
        number = payload.phone_number
        message = SmsMessage(to=number, text=payload.message, sender=payload.sender_id, reference=key)
        try:
            sent = await self.provider.send(message)
        except OptedOutError as error:
            async with self.database.session() as session:
                await SmsOptOuts(session).add(number, source=self.provider.name)
            await self._note(key, number, DeliveryNote(status=SendStatus.FAILED, error=str(error)[:500]))
            raise
        except Exception as error:
            await self._note(key, number, DeliveryNote(status=SendStatus.FAILED, error=str(error)[:500]))
            raise
        try:
            await self._note(key, number, _note_of(sent))
        except TorilError as error:
            # It is sent. Failing now would only make a person think that it was not.
            log.warning(
                "sms_not_noted", extra={"job_id": job.id, "message_id": sent.message_id, "reason": str(error)}
            )
        return sent

    async def _has_opted_out(self, number: str) -> bool:
        async with self.database.reading() as session:
            return await SmsOptOuts(session).has(number)

    async def _note(self, key: str, number: str, note: DeliveryNote) -> None:
        async def write() -> None:
            async with self.database.session() as session:
                await Deliveries(session).save(key, {number: note})

        await insist(write)


def _note_of(sent: SentSms) -> DeliveryNote:
    return DeliveryNote(
        status=SendStatus.SENT, message_id=sent.message_id, provider=sent.provider[:32] or None
    )
