"""The ready-made queues together, and how a definition becomes a queue that can be worked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from toril.engine.dead_letters import DEAD_LETTER
from toril.engine.options import JobOptions
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import ConfigurationError
from toril.queues.base import QueueDefinition
from toril.queues.storage import FileStore

if TYPE_CHECKING:
    from toril.db.session import Database
    from toril.queues.email.firms import FindFirm
    from toril.queues.email.handovers import Handovers
    from toril.queues.email.ledger import SentLedger
    from toril.queues.notification.definition import Channels
    from toril.queues.pdf.engines import EngineOptions
    from toril.queues.report.processors import AddJob
    from toril.queues.sync.definition import Vendors

#: Job options of every ready-made queue, unless it has its own; as Bull stores them (ms, ages in s).
DEFAULT_JOB_OPTIONS: dict[str, Any] = {
    "attempts": 3,
    "backoff": {"type": "exponential", "delay": 2000},
    "removeOnComplete": {"age": 86_400, "count": 1000},
    "removeOnFail": {"age": 172_800},
}

RIYADH = ZoneInfo("Asia/Riyadh")

#: Minutes for which the workers of ready-made queues keep how many jobs completed and failed.
COUNTED_MINUTES = 24 * 60


def ready_made_queues(
    *,
    files: FileStore,
    engines: EngineOptions | None = None,
    outbox: Path,
    from_email: str,
    from_name: str = "",
    resend_api_key: str | None = None,
    resend_url: str | None = None,
    smtp_url: str | None = None,
    email_per_second: float | None = None,
    email_in_order: bool = True,
    email_give_up_after: float | None = None,
    database: Database | None = None,
    public_url: str | None = None,
    secrets: Sequence[str] = (),
    zone: tzinfo = RIYADH,
    channels: Channels | None = None,
    vendors: Vendors | None = None,
    add_job: AddJob | None = None,
) -> dict[str, QueueDefinition]:
    """All ready-made queues by name, with the providers that the arguments ask for.

    Args:
        files: where processors keep and find files.
        engines: which renderer makes PDF files, and with what.
        outbox: folder for mail when neither a Resend key nor an SMTP URL is given.
        from_email, from_name: sender of mail.
        email_per_second, email_in_order, email_give_up_after: see ``email_queue``.
        database: the application's records. Bulk and campaign mail need it, to send nothing twice, and all
            notifications, reports and syncs: without it there are no queues for them. Documents take the firm at
            their head from it.
        public_url, secrets: of the links in campaign mail; see ``Tracker``.
        zone: the time zone of days and times in mail.
        channels: how notifications leave; unless given, SMS go to a folder of ``outbox``, and pushes and webhooks fail.
        vendors: the outside services of ``sync``; unless given, only exchange rates are read, and the other jobs fail.
        add_job: adds the ``pdf`` job that prints a report, as ``QueueService.add_job`` does; without it a report that
            is asked for as a PDF fails.

    Raises:
        ConfigurationError: a value is not acceptable, or an extra is not installed.
    """
    # Each kind of queue has an extra of its own, so its modules are imported only here.
    with _needing("mail", "email"):
        from toril.queues.email.definition import choose_provider, email_queue
        from toril.queues.email.mailer import GIVE_UP_AFTER
        from toril.queues.email.tracking import Tracker
    provider = choose_provider(
        resend_api_key=resend_api_key,
        resend_url=resend_url,
        smtp_url=smtp_url,
        outbox=outbox,
        handovers=_handovers(database),
    )
    definitions = [
        email_queue(
            provider,
            from_email=from_email,
            from_name=from_name,
            files=files,
            ledger=_ledger(database),
            tracker=Tracker(public_url, secrets) if public_url and secrets else None,
            find_firm=_mail_firms(database),
            zone=zone,
            per_second=email_per_second,
            in_order=email_in_order,
            give_up_after=email_give_up_after or GIVE_UP_AFTER,
        ),
        _documents(database, files, engines, vendors),
    ]
    if database is not None:
        definitions.append(_notifications(database, channels, outbox))
        definitions.append(_reports(database, files, add_job))
        definitions.append(_syncs(database, vendors))
    return {definition.name: definition for definition in definitions}


def _ledger(database: Database | None) -> SentLedger | None:
    if database is None:
        return None
    from toril.queues.email.database_ledger import DatabaseLedger  # needs the extra "db"

    return DatabaseLedger(database)


def _handovers(database: Database | None) -> Handovers | None:
    if database is None:
        return None
    from toril.queues.email.database_handovers import DatabaseHandovers  # needs the extra "db"

    return DatabaseHandovers(database)


def _mail_firms(database: Database | None) -> FindFirm | None:
    if database is None:
        return None
    from toril.queues.email.database_firms import DatabaseFirms  # needs the extra "db"

    return DatabaseFirms(database)


def _documents(
    database: Database | None, files: FileStore, engines: EngineOptions | None, vendors: Vendors | None
) -> QueueDefinition:
    with _needing("PDF files", "pdf"):
        from toril.queues.pdf.definition import pdf_queue
    if database is None:
        return pdf_queue(store=files, engines=engines)
    from toril.queues.pdf.firm_records import FirmRecords  # needs the extra "db"

    zatca = None if vendors is None else vendors.zatca
    environment = {} if zatca is None else {"zatca_environment": zatca.environment}
    records = FirmRecords(database, files, **environment)
    return pdf_queue(
        store=files,
        engines=engines,
        find_seller=records.find_seller,
        complete=records.complete,
        note_file=records.note_file,
    )


def _notifications(database: Database, channels: Channels | None, outbox: Path) -> QueueDefinition:
    with _needing("notifications", "notification"):
        from toril.queues.notification import Channels, LogProvider, notification_queue
    return notification_queue(
        database=database, channels=channels or Channels(sms=LogProvider(outbox / "sms"))
    )


def _reports(database: Database, files: FileStore, add_job: AddJob | None) -> QueueDefinition:
    with _needing("reports", "report"):
        from toril.queues.report import report_queue
    return report_queue(database=database, files=files, add_job=add_job)


def _syncs(database: Database, vendors: Vendors | None) -> QueueDefinition:
    with _needing("syncs", "sync"):
        from toril.queues.sync.definition import sync_queue
    return sync_queue(database=database, vendors=vendors)


@contextmanager
def _needing(what: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{what}: the package {error.name!r} is needed: pip install 'toril[{extra}]'"
        ) from error


def open_queue(definition: QueueDefinition, **queue_options: Any) -> Queue:
    """A queue with the definition's job options, its processor and dead letters; takes the options of ``Queue``."""
    options = JobOptions.from_bull({**DEFAULT_JOB_OPTIONS, **definition.job_options})
    queue = Queue(
        definition.name, default_job_options=options, **{"dead_letter": DEAD_LETTER, **queue_options}
    )
    queue.process(concurrency=definition.concurrency)(definition.process)
    queue.on("failed", definition.on_failed)
    return queue


def make_worker(definition: QueueDefinition, queue: Queue, **worker_options: Any) -> Worker:
    """A worker with the definition's lock and concurrency, and counts per minute; takes the options of ``Worker``."""
    own = {"lock_duration": definition.lock_duration, "metrics": COUNTED_MINUTES}
    return Worker(queue, **{**own, **worker_options})
