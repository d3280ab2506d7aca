"""What all types of e-mail jobs share: how mail leaves, from whom, and what is remembered of it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo

from toril.errors import NotConfiguredError
from toril.queues.base import RunningJob
from toril.queues.email.addresses import Mailbox
from toril.queues.email.firms import FindFirm, MailFirm
from toril.queues.email.ledger import SentLedger
from toril.queues.email.pacing import Pacing
from toril.queues.email.providers.base import EmailProvider
from toril.queues.email.tracking import Tracker
from toril.queues.job_key import job_key
from toril.queues.storage import FileStore

GIVE_UP_AFTER = 48 * 3600.0  #: seconds; mail servers themselves go on for days
_NOBODY_READS = re.compile(r"(no|do-?not|dont)[-_.]?reply|mailer-daemon|bounces?\b", re.IGNORECASE)
MAX_KEY = 256  #: characters of an idempotency key; Resend's limit
RIYADH = timezone(timedelta(hours=3), "Asia/Riyadh")  # no summer time, so a fixed offset is exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailer:
    """How mail leaves, from whom, and what is remembered of it.

    Attributes:
        files: where attachments given by path are.
        ledger: keeps what bulk and campaign jobs have sent.
        tracker: makes the links of campaigns and of bulk mail.
        find_firm: tells whose a mail is; without it only those that name a firm are any firm's.
        zone: the time zone of days and times in templates.
        key_prefix: begins every idempotency key. Queues that share a provider's account, such as those of a
            test and a production system, need different ones where their job ids can meet.
        per_second: calls of the provider that all workers together make in a second; None is any number.
        in_order: single mails are handed over in the order of the queue, one after the other, where there is a rate.
        give_up_after: seconds a mail may be put off in all by a provider that says "later", before its job fails.
        bulk_concurrency: mails of one bulk job that are under way at once, where the provider takes no batches.
    """

    provider: EmailProvider
    sender: Mailbox
    files: FileStore | None = None
    ledger: SentLedger | None = None
    tracker: Tracker | None = None
    find_firm: FindFirm | None = None
    zone: tzinfo = RIYADH
    key_prefix: str = "email"
    per_second: float | None = None
    give_up_after: float = GIVE_UP_AFTER
    in_order: bool = True
    bulk_concurrency: int = 8

    @property
    def firm_name(self) -> str:
        """Who writes, for people."""
        return self.sender.name or self.sender.domain

    async def firm(self, firm_id: str | None, *, campaign_id: str | None = None) -> MailFirm | None:
        """The firm of a mail; see ``FindFirm``."""
        if self.find_firm is None:
            return None if firm_id is None else MailFirm(id=firm_id)
        return await self.find_firm(firm_id, campaign_id=campaign_id)

    @property
    def sender_takes_replies(self) -> bool:
        """Whether somebody reads what is written to the sender; its name tells when not."""
        return _NOBODY_READS.match(self.sender.address) is None

    async def size_limit(self) -> int | None:
        """The bytes of the largest mail that the provider takes, as it travels; None where it does not say."""
        ask = getattr(self.provider, "size_limit", None)
        return None if ask is None else await ask()

    def reply_to(self, firm: MailFirm | None) -> tuple[Mailbox, ...]:
        """Where replies to a firm's mail go, when that is not the sender."""
        if firm is None or firm.reply_to is None or firm.reply_to.address == self.sender.address:
            return ()
        return (firm.reply_to,)

    def pacing(self, job: RunningJob, *, single: bool = False) -> Pacing:
        """How the calls that ``job`` makes are spread.

        Args:
            single: it sends one mail, which leaves in its order if that is wanted.
        """
        return Pacing(
            job,
            per_second=self.per_second,
            give_up_after=self.give_up_after,
            in_order=single and self.in_order,
        )

    def key(self, job: RunningJob, part: str = "") -> str:
        """The idempotency key of a job's mail, or of ``part`` of a job: the same for every attempt.

        With the time the job was added, since ids come again when a queue is obliterated or its server replaced.
        """
        key = job_key(self.key_prefix, job)
        return self.bounded(f"{key}:{part}" if part else key)

    def bounded(self, key: str) -> str:
        """``key``, or a digest of it when it cannot stand in a header."""
        if key.isascii() and key.isprintable() and len(key) <= MAX_KEY:
            return key
        return (
            f"{self.key_prefix}:sha256-{hashlib.sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()}"
        )

    def require_ledger(self, job_type: str) -> SentLedger:
        """The ledger.

        Raises:
            NotConfiguredError: there is none, so that nothing would stop a job that runs again.
        """
        if self.ledger is None:
            raise NotConfiguredError(
                f"jobs of type {job_type!r} need a database, which remembers what was sent: give "
                "ready_made_queues(database=…), or email_queue(ledger=…)"
            )
        return self.ledger
