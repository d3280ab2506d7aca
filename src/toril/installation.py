"""Everything that the settings describe, put together: database, files, ready-made queues, service."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from toril.db.engines import PoolLimits
from toril.db.session import Database
from toril.engine.embedded import prepare_home
from toril.engine.scripts.runner import PATIENCE
from toril.errors import ConfigurationError
from toril.queues.cleanup.definition import cleanup_queue
from toril.queues.cleanup.failed_jobs import FailedJobs
from toril.queues.cleanup.processors import Cleaner
from toril.queues.notification import Channels, SocketEvents, choose_signer, choose_sms_provider, choose_vapid
from toril.queues.pdf.engines import EngineOptions
from toril.queues.registry import ready_made_queues
from toril.queues.ssrf import Guard
from toril.queues.storage import FileStore, open_file_store
from toril.queues.sync.choice import choose_vendors
from toril.queues.sync.definition import Vendors
from toril.queues.sync.zatca import choose_zatca
from toril.service import QueueService
from toril.settings import Settings

#: Sender of mail that nobody configured; the outbox takes it, other providers refuse it.
UNSET_SENDER = "no-reply@localhost.localdomain"


@dataclass(frozen=True, slots=True)
class Installation:
    """What a running process works with."""

    database: Database
    service: QueueService
    files: FileStore


@asynccontextmanager
async def open_installation(settings: Settings, *, patience: float = PATIENCE) -> AsyncIterator[Installation]:
    """Build it, with the database brought up to date; closed at the end of the block.

    Args:
        patience: seconds a call to a queue waits for a lost server before it raises.

    Raises:
        ConfigurationError: a setting cannot be used, or an extra is not installed.
        TorilError: the database cannot be reached or is of a newer version.
    """
    try:
        await asyncio.to_thread(prepare_home, settings.home)
    except OSError as error:
        raise ConfigurationError(f"TORIL_HOME {settings.home} cannot be used: {error}") from error
    async with open_database(settings) as database:
        await database.upgrade()
        if (settings.resend_api_key or settings.smtp_url) and not settings.from_email:
            raise ConfigurationError("sending mail needs FROM_EMAIL, the sender's address")
        server: dict[str, Any] = {
            "url": settings.redis_url,
            "prefix": settings.prefix,
            "node": settings.shared_with_node,
            "home": settings.home,
        }
        files = file_store(settings)
        definitions = ready_made_queues(
            files=files,
            engines=pdf_engines(settings),
            outbox=settings.outbox_path,
            from_email=settings.from_email or UNSET_SENDER,
            from_name=settings.from_name or "",
            resend_api_key=settings.resend_api_key,
            resend_url=settings.resend_url,
            smtp_url=settings.smtp_url,
            email_per_second=settings.email_per_second,
            email_in_order=settings.email_in_order,
            email_give_up_after=settings.email_give_up_hours * 3600,
            database=database,
            public_url=settings.reached_at(),
            secrets=settings.secrets(),
            zone=ZoneInfo(settings.timezone),
            channels=_channels(settings),
            vendors=_vendors(settings, database),
            add_job=lambda queue, data, options: service.add_job(queue, data, options),
        )
        names = [*definitions, "cleanup"]
        cleaner = Cleaner(
            database,
            log_folders=[settings.logs_path],
            temp_folders=[settings.home / "temp"],
            archive_folder=settings.home / "archive",
            leftover_folders=[
                *([settings.files_path] if isinstance(settings.files_path, Path) else []),
                settings.outbox_path,
                settings.home / "archive",
            ],
            system_temp=Path(tempfile.gettempdir()),
            purge_failed_jobs=FailedJobs(names, **server).purge,
            files=files,
            reports_days=settings.reports_days,
        )
        definitions["cleanup"] = cleanup_queue(cleaner)
        async with QueueService(
            definitions.values(), database=database, **server, patience=patience
        ) as service:
            yield Installation(database, service, files)


def open_database(settings: Settings) -> Database:
    """The application's records; it connects when it is first used.

    Raises:
        ConfigurationError: the URL cannot be used, or a driver is not installed.
    """
    pool = PoolLimits(
        size=settings.database_pool_size,
        overflow=settings.database_pool_overflow,
        wait=settings.database_pool_wait,
    )
    return Database(settings.database_url, home=settings.home, pool=pool)


def file_store(settings: Settings) -> FileStore:
    """Where files are kept: a folder, or a bucket of S3.

    Raises:
        ConfigurationError: it is in S3, and the extra for it is not installed.
        OptionError: it cannot be the name of a bucket, or what keys begin with.
    """
    return open_file_store(
        settings.files_path,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
    )


def pdf_engines(settings: Settings) -> EngineOptions:
    """The renderers of the queue ``pdf``."""
    return EngineOptions(
        default=settings.pdf_renderer,
        chromium=settings.chromium,
        chromium_sandbox=settings.chromium_sandbox,
        allow=settings.pdf_allow,
    )


def _vendors(settings: Settings, database: Database) -> Vendors:
    zatca = choose_zatca(
        database,
        folder=settings.home / "zatca",
        zatca_environment=settings.zatca_environment,
        zatca_key=settings.zatca_key,
        zatca_url=settings.zatca_url,
        zatca_exemptions=settings.zatca_exemptions,
    )
    # An argument is named like its setting.
    wanted = signature(choose_vendors).parameters.keys() - {"zatca", "secrets"}
    given = {name: getattr(settings, name) for name in wanted}
    return choose_vendors(**given, zatca=zatca, secrets=settings.secrets())


def _twilio_callback(settings: Settings) -> str | None:
    """Where Twilio can reach us; it calls no address that has no TLS."""
    url = settings.public_url
    if url is None or not url.startswith("https://"):
        return None
    return f"{url.rstrip('/')}/api/webhooks/sms/twilio"


def _channels(settings: Settings) -> Channels:
    return Channels(
        sms=choose_sms_provider(
            settings.sms_provider,
            outbox=settings.outbox_path / "sms",
            sender=settings.sms_sender,
            fallback=settings.sms_fallback,
            fallback_sender=settings.sms_fallback_sender,
            status_callback=_twilio_callback(settings),
            unifonic_app_sid=settings.unifonic_app_sid,
            taqnyat_token=settings.taqnyat_token,
            twilio_account_sid=settings.twilio_account_sid,
            twilio_auth_token=settings.twilio_auth_token,
        ),
        live=SocketEvents(settings.redis_url, home=settings.home, channel=settings.socketio_channel),
        vapid=choose_vapid(
            public_key=settings.vapid_public_key,
            private_key=settings.vapid_private_key,
            contact=settings.contact_email,
        ),
        webhook_signer=choose_signer(settings.webhook_secret),
        guard=Guard.allowing(*settings.allowed_networks),
    )
