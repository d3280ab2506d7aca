"""The notification queue: its types, its defaults, and the channels that the settings ask for."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toril.db.session import Database
from toril.errors import ConfigurationError
from toril.queues.base import JobType, QueueDefinition
from toril.queues.guarded_client import GuardedClient
from toril.queues.notification.bulk_push import BulkPushNotifier
from toril.queues.notification.in_app import InAppNotifier
from toril.queues.notification.live import LiveEvents
from toril.queues.notification.payloads import BulkPush, InApp, Push, Sms, Webhook
from toril.queues.notification.providers.base import SmsProvider
from toril.queues.notification.providers.failover import FailoverProvider
from toril.queues.notification.providers.log import LogProvider
from toril.queues.notification.push import PushNotifier
from toril.queues.notification.signature import WebhookSigner
from toril.queues.notification.sms import SmsSender
from toril.queues.notification.vapid import Vapid
from toril.queues.notification.web_push import WebPush
from toril.queues.notification.webhook import WebhookCaller
from toril.queues.ssrf import Guard

#: as Bull stores them: delay in milliseconds, ages in seconds
JOB_OPTIONS = {
    "attempts": 3,
    "backoff": {"type": "exponential", "delay": 2000},
    "removeOnComplete": {"age": 86400, "count": 1000},
    "removeOnFail": {"age": 172800},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """How notifications leave. What is None is not configured: jobs of its type fail at once and say what to set.

    Attributes:
        sms: the provider; closed with the queue.
        live: announces notifications inside the application; closed with the queue. Without it they are only stored.
        vapid: keys of Web Push.
        webhook_signer: signs webhooks.
        guard: where pushes and webhooks may go.
        tls: for certificates the system does not know.
        max_segments: a longer SMS is refused.
    """

    sms: SmsProvider
    live: LiveEvents | None = None
    vapid: Vapid | None = None
    webhook_signer: WebhookSigner | None = None
    guard: Guard = field(default_factory=Guard)
    tls: ssl.SSLContext | None = None
    max_segments: int = 10


def notification_queue(
    *, database: Database, channels: Channels, bulk_parallel: int = 20, concurrency: int = 10
) -> QueueDefinition:
    """The queue ``notification``.

    Args:
        database: the records; the caller closes it, after the queue.
        bulk_parallel: messages of one bulk job that are on their way at a time.
        concurrency: jobs one worker process runs at once, unless configured otherwise.
    """
    client = GuardedClient(channels.guard, tls=channels.tls)
    web_push = None if channels.vapid is None else WebPush(channels.vapid, client)
    types = (
        JobType(
            name="push",
            payload=Push,
            process=PushNotifier(web_push=web_push, database=database, parallel=bulk_parallel),
            summary="A push to one browser, or to all of a user",
        ),
        JobType(
            name="in-app",
            payload=InApp,
            process=InAppNotifier(database=database, live=channels.live),
            summary="A notification inside the application, announced to those who are connected",
        ),
        JobType(
            name="sms",
            payload=Sms,
            process=SmsSender(provider=channels.sms, database=database, max_segments=channels.max_segments),
            summary="One SMS",
        ),
        JobType(
            name="webhook",
            payload=Webhook,
            process=WebhookCaller(client=client, signer=channels.webhook_signer),
            summary="A signed call of a webhook",
        ),
        JobType(
            name="bulk-push",
            payload=BulkPush,
            process=BulkPushNotifier(web_push=web_push, database=database, parallel=bulk_parallel),
            summary="The same push to many users",
        ),
    )

    async def close() -> None:
        await client.close()
        await channels.sms.close()
        if channels.live is not None:
            await channels.live.close()

    return QueueDefinition(
        name="notification",
        types={each.name: each for each in types},
        job_options=JOB_OPTIONS,
        concurrency=concurrency,
        on_close=close,
    )


def choose_sms_provider(
    provider: str | None = None,
    *,
    outbox: Path | str,
    sender: str | None = None,
    unifonic_app_sid: str | None = None,
    taqnyat_token: str | None = None,
    twilio_account_sid: str | None = None,
    twilio_auth_token: str | None = None,
    fallback: str | None = None,
    fallback_sender: str | None = None,
    status_callback: str | None = None,
) -> SmsProvider:
    """The provider the settings ask for.

    Args:
        provider: ``unifonic``, ``taqnyat``, ``twilio``, or ``log``, which writes messages to the folder ``outbox``.
        sender: of messages that name none.
        fallback: another provider, for what the first certainly did not take.
        fallback_sender: as ``sender``, for messages that go by the other one.
        status_callback: where Twilio tells what becomes of messages, by https.

    Raises:
        ConfigurationError: there is no such provider, it is its own fallback, or its credentials are missing or
            cannot be right.
    """
    if fallback is not None:
        if provider in (None, "log", fallback) or fallback == "log":
            raise ConfigurationError(
                "SMS_FALLBACK must be another provider than SMS_PROVIDER, and neither log"
            )
        credentials = {
            "unifonic_app_sid": unifonic_app_sid,
            "taqnyat_token": taqnyat_token,
            "twilio_account_sid": twilio_account_sid,
            "twilio_auth_token": twilio_auth_token,
            "status_callback": status_callback,
        }
        first = choose_sms_provider(provider, outbox=outbox, sender=sender, **credentials)
        second = choose_sms_provider(fallback, outbox=outbox, sender=fallback_sender, **credentials)
        return FailoverProvider(first, second)
    if provider in (None, "log"):
        return LogProvider(outbox)
    if provider == "unifonic":
        from toril.queues.notification.providers.unifonic import UnifonicProvider

        return UnifonicProvider(unifonic_app_sid or "", sender=sender)
    if provider == "taqnyat":
        from toril.queues.notification.providers.taqnyat import TaqnyatProvider

        return TaqnyatProvider(taqnyat_token or "", sender=sender)
    if provider == "twilio":
        from toril.queues.notification.providers.twilio import TwilioProvider

        return TwilioProvider(
            twilio_account_sid or "", twilio_auth_token or "", sender=sender, status_callback=status_callback
        )
    raise ConfigurationError(
        f"SMS_PROVIDER {provider!r} is unknown; there are unifonic, taqnyat, twilio and log"
    )


def choose_vapid(*, public_key: str | None, private_key: str | None, contact: str | None) -> Vapid | None:
    """The keys of Web Push, or None when none is set.

    Raises:
        ConfigurationError: some are set and others not, or they cannot be used.
    """
    given = {"VAPID_PUBLIC_KEY": public_key, "VAPID_PRIVATE_KEY": private_key, "CONTACT_EMAIL": contact}
    if not (public_key or private_key):
        return None
    if missing := [name for name, value in given.items() if not value]:
        raise ConfigurationError(f"Web Push needs {' and '.join(missing)} too")
    return Vapid(public_key or "", private_key or "", contact=contact or "")


def choose_signer(secrets: str | Sequence[str] | None) -> WebhookSigner | None:
    """What signs webhooks, or None without a secret.

    Args:
        secrets: ``whsec_…``; several, the newest first, with spaces between them or as a list.

    Raises:
        ConfigurationError: one is not a secret.
    """
    listed = secrets.split() if isinstance(secrets, str) else list(secrets or ())
    return WebhookSigner(listed) if listed else None
