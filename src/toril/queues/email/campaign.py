"""The work behind a campaign job: one recipient's mail, tracked, sent once for a campaign and an address."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from toril.errors import NotConfiguredError, PostponedError, TorilError
from toril.queues.base import RunningJob
from toril.queues.email.addresses import Mailbox, parse_mailbox
from toril.queues.email.ledger import CampaignRecord, Outcome, SentLedger
from toril.queues.email.links import campaign_bodies
from toril.queues.email.mailer import Mailer
from toril.queues.email.message import Mail
from toril.queues.email.pacing import Pacing
from toril.queues.email.payloads import Campaign
from toril.queues.email.suppressed import is_first_run
from toril.queues.email.tracking import TrackedMail, Tracker, unsubscribe_headers
from toril.queues.send_once import FINISH_S

#: Seconds after which a mail that another job began is taken to be that job's no more. A job whose worker is gone
#: runs again within two minutes (lock of 30 s, stalled check every 30 s), and no send takes longer than five.
_ABANDONED_S = 420.0


async def send_campaign(mailer: Mailer, payload: Campaign, job: RunningJob) -> dict[str, Any]:
    """Send a campaign's mail, unless this address has it. Progress: 10 begun, 50 put together, 100 done.

    Returns:
        ``{"success", "messageId", "campaignId", "recipientEmail"}``; with ``alreadySent`` when an earlier job sent
        it, and without success but with ``suppressed`` when the address wants no campaigns.
    Raises:
        NotConfiguredError: there is no ledger or no tracker, or the provider refuses our account.
    """
    ledger = mailer.require_ledger("campaign")
    tracker = mailer.tracker
    if tracker is None:
        raise NotConfiguredError(
            "campaigns need a public URL and a secret for their links (TORIL_PUBLIC_URL)"
        )
    pacing = mailer.pacing(job)
    async with pacing.in_line():
        return await _send_in_turn(mailer, ledger, tracker, payload, job, pacing)


async def _send_in_turn(
    mailer: Mailer, ledger: SentLedger, tracker: Tracker, payload: Campaign, job: RunningJob, pacing: Pacing
) -> dict[str, Any]:
    await job.update_progress(10)
    box = parse_mailbox(payload.recipient.email)
    result = {"campaignId": payload.campaign_id, "recipientEmail": payload.recipient.email}
    firm = await mailer.firm(payload.firm_id, campaign_id=payload.campaign_id)
    if await ledger.suppressed([box.address], firm_id=None if firm is None else firm.id):
        await job.log("the address wants no campaigns; nothing was sent")
        await job.update_progress(100)
        return {"success": False, "messageId": None, **result, "suppressed": True}
    record = await ledger.begin_campaign(
        payload.campaign_id, box.address.lower(), tracking_id=payload.tracking_id
    )
    if record.message_id is not None:
        await job.log("this address has the campaign's mail already; nothing was sent")
        await job.update_progress(100)
        return {"success": True, "messageId": record.message_id, **result, "alreadySent": True}
    if record.is_open and not record.is_new and record.age_s < _ABANDONED_S and is_first_run(job):
        raise PostponedError("another job is sending this campaign's mail to this address", retry_after=60)
    name = payload.recipient.name or box.name
    mail = await asyncio.to_thread(
        _mail, mailer, tracker, payload, Mailbox(box.address, name), record.tracking_id, mailer.reply_to(firm)
    )
    await job.update_progress(50)
    message_id = await _to_the_end(_send(mailer, pacing, ledger, record, mail))
    await job.update_progress(100)
    return {"success": True, "messageId": message_id, **result}


def _mail(
    mailer: Mailer,
    tracker: Tracker,
    payload: Campaign,
    to: Mailbox,
    tracking_id: str,
    reply_to: tuple[Mailbox, ...],
) -> Mail:
    tracked = TrackedMail(campaign_id=payload.campaign_id, tracking_id=tracking_id)
    html, text = campaign_bodies(payload.html, tracker, tracked)
    return Mail(
        message_id=f"<campaign.{_digest(payload.campaign_id, to)}@{mailer.sender.domain}>",
        sender=mailer.sender,
        to=(to,),
        subject=payload.subject,
        html=html,
        text=text,
        reply_to=reply_to,
        headers=unsubscribe_headers(tracker.unsubscribe_url(tracked)),
        date=datetime.now(UTC),
    )


async def _send(
    mailer: Mailer, pacing: Pacing, ledger: SentLedger, record: CampaignRecord, mail: Mail
) -> str:
    # Not the job's key: two jobs for one address are one mail.
    key = mailer.bounded(f"{mailer.key_prefix}:{mail.message_id.strip('<>').partition('@')[0]}")
    try:
        sent = await pacing.call(lambda: mailer.provider.send(mail, idempotency_key=key))
    except TorilError as error:
        await ledger.finish_campaign(record.id, Outcome(error=str(error)))
        raise
    await ledger.finish_campaign(record.id, Outcome(message_id=sent.message_id))
    return sent.message_id


async def _to_the_end(work: Coroutine[Any, Any, str]) -> str:
    """Await ``work``; when we are stopped meanwhile, it gets time to note what it sent."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=FINISH_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def _digest(campaign_id: str, to: Mailbox) -> str:
    return hashlib.sha256(f"{campaign_id}\n{to.address.lower()}".encode()).hexdigest()[:32]
