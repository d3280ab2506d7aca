"""The work behind each type of e-mail job."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any

from toril.queues.base import RunningJob
from toril.queues.email.addresses import Mailbox
from toril.queues.email.compose import compose
from toril.queues.email.payloads import Transactional
from toril.queues.email.providers.base import EmailProvider
from toril.queues.storage import FileStore

log = logging.getLogger("toril.queues.email")

MAX_KEY = 256  #: characters of an idempotency key; Resend's limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailer:
    """Sends the mail of one job; what the e-mail processors share.

    Attributes:
        key_prefix: begins every idempotency key. Queues that share a provider's account, such as those of a
            test and a production system, need different ones where their job ids can meet.
    """

    provider: EmailProvider
    sender: Mailbox
    files: FileStore | None = None
    key_prefix: str = "email"

    async def transactional(self, payload: Transactional, job: RunningJob) -> dict[str, Any]:
        """Send one mail. Progress: 10 the payload is good, 50 the mail is ready, 100 the provider has it.

        Returns:
            ``{"success": True, "messageId": …, "to": …, "subject": …}`` with ``to`` as the payload gave it.
        """
        await job.update_progress(10)
        mail = await compose(payload, job_id=job.id, sender=self.sender, files=self.files)
        await job.update_progress(50)
        sent = await self.provider.send(mail, idempotency_key=self.key(job.id))
        for recipient, reason in sent.refused.items():
            await job.log(f"{recipient} was refused and does not get this mail: {reason}")
        if sent.refused:
            log.warning(
                "email_recipients_refused", extra={"job_id": job.id, "recipients_refused": len(sent.refused)}
            )
        await job.update_progress(100)
        return {
            "success": True,
            "messageId": sent.message_id,
            "to": payload.to,
            "subject": payload.subject,
        }

    def key(self, job_id: str) -> str:
        """The idempotency key of a job's mail: ``email:<job id>``, the same for every attempt."""
        key = f"{self.key_prefix}:{job_id}"
        if key.isascii() and key.isprintable() and len(key) <= MAX_KEY:
            return key
        return f"{self.key_prefix}:sha256-{hashlib.sha256(job_id.encode()).hexdigest()}"
