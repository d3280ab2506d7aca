"""The work behind each type of e-mail job."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Any

from toril.errors import OptionError
from toril.queues.base import RunningJob
from toril.queues.email.addresses import Mailbox, parse_mailbox
from toril.queues.email.attachments import read_attachments
from toril.queues.email.bulk import send_bulk
from toril.queues.email.campaign import send_campaign
from toril.queues.email.compose import compose
from toril.queues.email.mailer import Mailer
from toril.queues.email.message import Mail
from toril.queues.email.pacing import Pacing
from toril.queues.email.payloads import Bulk, Campaign, TemplateMail, Transactional
from toril.queues.email.rendering import render
from toril.queues.email.suppressed import is_first_run, without_suppressed
from toril.queues.redaction import REDACTED

log = logging.getLogger("toril.queues.email")


@dataclass(frozen=True, slots=True)
class Processors:
    """A method for each type, called with the validated payload and the running job."""

    mailer: Mailer

    async def transactional(self, payload: Transactional, job: RunningJob) -> dict[str, Any]:
        """Send one mail. Progress: 10 the payload is good, 50 the mail is ready, 100 the provider has it.

        Returns:
            ``{"success", "messageId", "to", "subject"}`` with ``to`` as the payload gave it; with ``suppressed`` when
            addresses were left out, and without success when none of ``to`` remained.
        """
        pacing = self.mailer.pacing(job, single=True)
        async with pacing.in_line():
            await job.update_progress(10)
            attachments = await read_attachments(
                self.mailer, payload.attachments or (), firm_id=payload.firm_id
            )
            mail = compose(payload, job=job, sender=self.mailer.sender, attachments=attachments)
            sent = await self._send(mail, job, pacing)
            return {**sent, "to": payload.to, "subject": REDACTED if payload.sensitive else payload.subject}

    async def template(self, payload: TemplateMail, job: RunningJob) -> dict[str, Any]:
        """Send one mail made from a template. Progress as ``transactional``.

        Returns:
            ``{"success", "messageId", "templateId", "to"}``, the last two as the payload gave them; ``suppressed`` as
            ``transactional``.
        """
        mailer = self.mailer
        pacing = mailer.pacing(job, single=True)
        async with pacing.in_line():
            await job.update_progress(10)
            reply_to = _firm_address(payload) or mailer.reply_to(await mailer.firm(payload.firm_id))
            made = await asyncio.to_thread(
                render,
                payload.data,
                firm_name=mailer.firm_name,
                zone=mailer.zone,
                takes_replies=bool(payload.reply_to or reply_to) or mailer.sender_takes_replies,
            )
            filled = Transactional(
                to=payload.to,
                subject=payload.subject or made.subject,
                html=made.html,
                text=made.text,
                reply_to=payload.reply_to,
                cc=payload.cc,
                bcc=payload.bcc,
                tags=payload.tags,
            )
            attachments = await read_attachments(mailer, payload.attachments or (), firm_id=payload.firm_id)
            mail = compose(filled, job=job, sender=mailer.sender, attachments=attachments)
            if not mail.reply_to:
                mail = replace(mail, reply_to=reply_to)
            sent = await self._send(mail, job, pacing)
            return {**sent, "templateId": payload.template_id, "to": payload.to}

    async def bulk(self, payload: Bulk, job: RunningJob) -> dict[str, Any]:
        """See ``send_bulk``."""
        return await send_bulk(self.mailer, payload, job)

    async def campaign(self, payload: Campaign, job: RunningJob) -> dict[str, Any]:
        """See ``send_campaign``."""
        return await send_campaign(self.mailer, payload, job)

    async def _send(self, mail: Mail, job: RunningJob, pacing: Pacing) -> dict[str, Any]:
        await job.update_progress(50)
        left_out: list[dict[str, str]] = []
        if self.mailer.ledger is not None:
            reachable, left_out = await without_suppressed(
                mail, self.mailer.ledger, first_run=is_first_run(job)
            )
            for each in left_out:
                await job.log(f"{each['email']} gets no mail any more ({each['reason']}) and was left out")
            if reachable is None:
                await job.update_progress(100)
                return {"success": False, "messageId": None, "suppressed": left_out}
            mail = reachable
        key = self.mailer.key(job)
        sent = await pacing.call(lambda: self.mailer.provider.send(mail, idempotency_key=key))
        for recipient, reason in sent.refused.items():
            await job.log(f"{recipient} was refused and does not get this mail: {reason}")
        if sent.refused:
            log.warning(
                "email_recipients_refused", extra={"job_id": job.id, "recipients_refused": len(sent.refused)}
            )
        await job.update_progress(100)
        result: dict[str, Any] = {"success": True, "messageId": sent.message_id}
        return {**result, "suppressed": left_out} if left_out else result


def _firm_address(payload: TemplateMail) -> tuple[Mailbox, ...]:
    """The address that the mail itself shows as the firm's, if it is one."""
    try:
        return (parse_mailbox(payload.data.firm_email or ""),)
    except OptionError:
        return ()
