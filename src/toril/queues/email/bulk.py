"""The work behind a bulk job: the same mail to many, each once, however often the job is run."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from toril.errors import PostponedError, RetryableError
from toril.queues.base import RunningJob
from toril.queues.email.delivery import Delivery
from toril.queues.email.fields import MAX_SUBJECT
from toril.queues.email.firms import MailFirm
from toril.queues.email.ledger import Outcome, SentLedger
from toril.queues.email.mailer import Mailer
from toril.queues.email.message import Mail
from toril.queues.email.payloads import Bulk
from toril.queues.email.placeholders import fill_html, fill_subject, fill_text
from toril.queues.email.recipients import Entry, entries_of, first_of_each
from toril.queues.email.text import html_to_text
from toril.queues.email.tracking import ListMember, unsubscribe_headers
from toril.queues.job_key import job_key, job_token

log = logging.getLogger("toril.queues.email")

#: In the ledger beside the mails of a job, and no address: it was decided who is left out.
_DECIDED: Final = "#decided"


async def send_bulk(mailer: Mailer, payload: Bulk, job: RunningJob) -> dict[str, Any]:
    """Send a bulk job's mails that are not sent yet. Progress is how much of all is done, in percent.

    Returns:
        ``{"success", "total", "successCount", "failedCount", "suppressedCount", "results"}``, a result for each
        recipient in order; success when none failed.
    Raises:
        RetryableError: some could not be sent now; the next attempt goes on with these. ``PostponedError``, which
            counts no attempt, when "later" is all that was said.
        NotConfiguredError: there is no ledger, or the provider refuses our account.
    """
    ledger = mailer.require_ledger("bulk")
    name = job_key(mailer.key_prefix, job)
    entries = entries_of(payload.recipients)
    wanted = first_of_each(entries)
    firm = await mailer.firm(payload.firm_id)
    firm_id = None if firm is None else firm.id
    known = await _decided(ledger, name, wanted, firm_id)
    sendable = [entry for entry in wanted if entry.key not in known or known[entry.key].suppressed is None]
    shown = -1

    async def stopped(entry: Entry) -> Outcome | None:
        # One by one, many mails take hours: somebody may have said no by now.
        assert entry.box is not None
        found = await ledger.suppressed([entry.box.address], firm_id=firm_id)
        return next((Outcome.of_suppressed(each) for each in found.values()), None)

    async def tell() -> None:
        nonlocal shown
        percent = 100 * (len(known) + len(delivery.outcomes)) // max(1, len(wanted))
        if percent > shown:
            shown = percent
            await job.update_progress(percent)

    delivery = Delivery(
        mailer.provider,
        compose=lambda entry: _mail(mailer, payload, entry, job, firm),
        stopped=stopped,
        record=lambda outcomes: ledger.record(name, outcomes),
        told=tell,
        key=lambda part: mailer.key(job, part),
        concurrency=mailer.bulk_concurrency,
        pacing=lambda: mailer.pacing(job),
    )
    await tell()
    await delivery.run(sendable, known)
    outcomes = {**known, **delivery.outcomes}
    if len(outcomes) < len(wanted):
        put_off = all(isinstance(error, PostponedError) for error in delivery.later.values())
        if delivery.gave_up or (_is_young(job, mailer) if put_off else _has_attempts_left(job)):
            raise _to_be_continued(mailer, delivery, len(outcomes), len(wanted), put_off=put_off)
        # Single addresses that could not be served in any attempt: the job is done all the same.
        outcomes |= {key: Outcome(error=str(error)) for key, error in delivery.later.items()}
    await job.update_progress(100)
    return _result(entries, outcomes, job)


async def _decided(
    ledger: SentLedger, name: str, wanted: Sequence[Entry], firm_id: str | None
) -> dict[str, Outcome]:
    """What is known of the job's mails, after its first attempt has decided who is left out.

    That is noted before anything is sent: a batch whose answer was lost must be the same when it is repeated, also when
    one of its addresses was suppressed since.
    """
    known = dict(await ledger.outcomes(name))
    if known.pop(_DECIDED, None) is not None:
        return known
    addresses = {entry.key: entry.box.address.lower() for entry in wanted if entry.box is not None}
    found = await ledger.suppressed(set(addresses.values()), firm_id=firm_id)
    left_out = {
        key: Outcome.of_suppressed(found[address])
        for key, address in addresses.items()
        if address in found and key not in known
    }
    await ledger.record(name, left_out | {_DECIDED: Outcome(error="decided who is left out")})
    return known | left_out


def _mail(mailer: Mailer, payload: Bulk, entry: Entry, job: RunningJob, firm: MailFirm | None) -> Mail:
    assert entry.box is not None
    way_out = ""
    if mailer.tracker is not None and mailer.tracker.is_public:
        way_out = mailer.tracker.leave_url(
            ListMember(email=entry.box.address, firm_id=None if firm is None else firm.id)
        )
    values = {"unsubscribe_url": way_out, **entry.given.values}
    html = fill_html(payload.html, values)
    return Mail(
        message_id=f"<{job_token('email', job)}.{entry.index}@{mailer.sender.domain}>",
        sender=mailer.sender,
        to=(entry.box,),
        subject=fill_subject(payload.subject, values, limit=MAX_SUBJECT),
        html=html,
        text=fill_text(payload.text, values) if payload.text else html_to_text(html),
        reply_to=mailer.reply_to(firm),
        headers=unsubscribe_headers(way_out) if way_out else (),
        date=datetime.now(UTC),
    )


def _has_attempts_left(job: RunningJob) -> bool:
    attempts = getattr(job, "opts", {}).get("attempts", 1)
    return isinstance(attempts, int | float) and job.attempts_made + 1 < attempts


def _is_young(job: RunningJob, mailer: Mailer) -> bool:
    """Whether single addresses that are put off may be tried again."""
    added = getattr(job, "timestamp", None)
    return added is not None and time.time() * 1000 - added < mailer.give_up_after * 1000


def _to_be_continued(
    mailer: Mailer, delivery: Delivery, done: int, total: int, *, put_off: bool
) -> RetryableError:
    waits = [error.retry_after for error in delivery.later.values() if error.retry_after is not None]
    text = (
        f"{done} of {total} mails are done; the others could not be sent now, and another attempt goes on with them "
        f"({delivery.trouble or next(iter(delivery.later.values()), None)})"
    )
    if put_off and waits:
        return PostponedError(text, retry_after=max(waits), at_most=mailer.give_up_after)
    return RetryableError(text, retry_after=max(waits, default=None))


def _result(entries: Sequence[Entry], outcomes: Mapping[str, Outcome], job: RunningJob) -> dict[str, Any]:
    results = [_row(entry, outcomes) for entry in entries]
    sent = sum(row["success"] for row in results)
    suppressed = sum("suppressed" in row for row in results)
    failed = len(results) - sent - suppressed
    if failed:
        log.warning("email_bulk_incomplete", extra={"job_id": job.id, "sent": sent, "not_sent": failed})
    return {
        "success": not failed,
        "total": len(results),
        "successCount": sent,
        "failedCount": failed,
        "suppressedCount": suppressed,
        "results": results,
    }


def _row(entry: Entry, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    outcome = outcomes[entry.key] if entry.key else Outcome(error=entry.error)
    if outcome.message_id is not None:
        return {"email": entry.given.email, "success": True, "messageId": outcome.message_id}
    row = {"email": entry.given.email, "success": False, "error": outcome.error}
    return row if outcome.suppressed is None else {**row, "suppressed": outcome.suppressed}
