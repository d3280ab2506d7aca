"""The e-mail queue: its types, its defaults, and the provider the settings ask for."""

from __future__ import annotations

import logging
from datetime import tzinfo
from pathlib import Path

from toril.errors import ConfigurationError, OptionError
from toril.queues.base import JobType, QueueDefinition
from toril.queues.email.addresses import Mailbox, parse_mailbox
from toril.queues.email.firms import FindFirm
from toril.queues.email.handovers import Handovers
from toril.queues.email.ledger import SentLedger
from toril.queues.email.mailer import GIVE_UP_AFTER, RIYADH, Mailer
from toril.queues.email.payloads import Bulk, Campaign, TemplateMail, Transactional
from toril.queues.email.processors import Processors
from toril.queues.email.providers.base import EmailProvider
from toril.queues.email.providers.fallback import FallbackProvider
from toril.queues.email.providers.outbox import OutboxProvider
from toril.queues.email.tracking import Tracker
from toril.queues.storage import FileStore

log = logging.getLogger("toril.queues.email")

#: as Bull stores them: delay in milliseconds, ages in seconds
JOB_OPTIONS = {
    "attempts": 3,
    "backoff": {"type": "exponential", "delay": 3000},
    "removeOnComplete": {"age": 86400, "count": 500},
    "removeOnFail": {"age": 172800},
}


def email_queue(
    provider: EmailProvider,
    *,
    from_email: str,
    from_name: str = "",
    files: FileStore | None = None,
    ledger: SentLedger | None = None,
    tracker: Tracker | None = None,
    find_firm: FindFirm | None = None,
    zone: tzinfo = RIYADH,
    key_prefix: str = "email",
    per_second: float | None = None,
    give_up_after: float = GIVE_UP_AFTER,
    in_order: bool = True,
    concurrency: int = 5,
) -> QueueDefinition:
    """The queue ``email``.

    Args:
        provider: how mail leaves; closed with the definition.
        from_email: the sender, ``a@b.example`` or ``Name <a@b.example>``.
        from_name: the sender's name, instead of one in ``from_email``.
        files, ledger, tracker, find_firm, zone, key_prefix: see ``Mailer``. Jobs of type bulk and campaign fail
            without a ledger, those of type campaign also without a tracker.
        per_second: calls of the provider in a second, by all workers together; unless given what the provider says of
            itself (Resend: 2), and any number where it says nothing.
        give_up_after: seconds a mail may be put off in all by a provider that says "later"; then its job fails.
        in_order: where there is a rate, single mails are handed over in the order of the queue, one after the other: in
            a second as many as the provider answers. Without it calls overlap, and mails may overtake one another.
        concurrency: jobs one worker process runs at once, unless configured otherwise.
    Raises:
        ConfigurationError: the sender or the prefix is not acceptable.
    """
    if not key_prefix or not key_prefix.isascii() or not key_prefix.isprintable() or len(key_prefix) > 100:
        raise ConfigurationError(f"key_prefix {key_prefix!r} must be 1 to 100 printable ASCII characters")
    mailer = Mailer(
        provider=provider,
        sender=_sender(from_email, from_name),
        files=files,
        ledger=ledger,
        tracker=tracker,
        find_firm=find_firm,
        zone=zone,
        key_prefix=key_prefix,
        per_second=per_second or getattr(provider, "per_second", None),
        give_up_after=give_up_after,
        in_order=in_order,
    )
    work = Processors(mailer)
    types = (
        JobType(
            name="transactional",
            payload=Transactional,
            process=work.transactional,
            summary="One mail to one or a few people",
        ),
        JobType(
            name="bulk",
            payload=Bulk,
            process=work.bulk,
            summary="The same mail to many, each with values of their own",
        ),
        JobType(
            name="template",
            payload=TemplateMail,
            process=work.template,
            summary="One mail from a template, in Arabic or English",
        ),
        JobType(
            name="campaign",
            payload=Campaign,
            process=work.campaign,
            summary="A campaign's mail to one recipient, with opens and clicks tracked",
        ),
    )
    return QueueDefinition(
        name="email",
        types={each.name: each for each in types},
        job_options=JOB_OPTIONS,
        concurrency=concurrency,
        on_close=provider.close,
    )


def choose_provider(
    *,
    resend_api_key: str | None = None,
    resend_url: str | None = None,
    smtp_url: str | None = None,
    outbox: Path | str,
    handovers: Handovers | None = None,
) -> EmailProvider:
    """The provider the settings ask for: Resend with a key, else SMTP with a URL, else the outbox folder. With both,
    SMTP takes what Resend certainly did not.

    Args:
        handovers: what both ways must know of one another; without it there is no fallback.

    Raises:
        ConfigurationError: the key or the URL cannot be right, or the extra ``email`` is not installed.
    """
    if not resend_api_key and not smtp_url:
        return OutboxProvider(outbox)
    try:
        if resend_api_key:
            from toril.queues.email.providers.resend import ResendProvider

            resend = ResendProvider(resend_api_key, base_url=resend_url)
            if not smtp_url:
                return resend
            if handovers is None:
                log.warning("email_has_no_fallback: SMTP as the fallback of Resend needs a database")
                return resend
            from toril.queues.email.providers.smtp import SmtpProvider

            return FallbackProvider(resend, SmtpProvider(smtp_url), handovers=handovers)
        from toril.queues.email.providers.smtp import SmtpProvider

        return SmtpProvider(smtp_url or "")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"sending mail needs the package {error.name!r}: pip install 'toril[email]'"
        ) from error


def _sender(from_email: str, from_name: str) -> Mailbox:
    try:
        sender = parse_mailbox(from_email)
        return Mailbox(sender.address, from_name.strip()) if from_name.strip() else sender
    except OptionError as error:
        raise ConfigurationError(f"the sender (FROM_EMAIL, FROM_NAME) is not acceptable: {error}") from error
