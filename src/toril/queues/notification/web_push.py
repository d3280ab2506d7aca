"""Web Push: a message, encrypted for one browser, handed to the push service of that browser (RFC 8030, 8291)."""

from __future__ import annotations

import base64
import hashlib
import random
from datetime import UTC, datetime
from typing import Final

from toril.errors import (
    NotConfiguredError,
    PayloadError,
    RetryableError,
    TorilError,
    UnrecoverableError,
)
from toril.queues.base import RunningJob
from toril.queues.guarded_client import GuardedAnswer, GuardedClient
from toril.queues.job_key import job_key
from toril.queues.notification.payloads import PushMessage, Subscription
from toril.queues.notification.vapid import Vapid
from toril.queues.retry_after import retry_after_seconds

_WITHIN: Final = 10.0  #: seconds for one message


class SubscriptionGoneError(UnrecoverableError):
    """The push service does not know this subscription any more: the browser took it back, or it expired."""

    code = "subscription_gone"


class WebPush:
    """Sends messages to browsers.

    Args:
        client: how they travel. Endpoints come from browsers, so it is a guarded one; the caller closes it.
    """

    def __init__(self, vapid: Vapid, client: GuardedClient) -> None:
        self.vapid, self.client = vapid, client

    async def send(self, subscription: Subscription, message: PushMessage, *, tag: str) -> None:
        """Hand one message over; that the push service took it does not say that anybody saw it.

        Args:
            tag: a newer message with the same one replaces this, both while it waits at the service and when it is
                shown; ``TAG_LENGTH`` characters of base64url.

        Raises:
            SubscriptionGoneError: forget the subscription.
            PayloadError: the browser's keys are none.
            BlockedAddressError: the endpoint is not one that may be called.
            RetryableError: a passing fault. It may have been sent; the same tag makes a second one replace it.
            NotConfiguredError: the service refuses our keys.
            UnrecoverableError: it refuses the message.
        """
        target = self.client.guard.parse(subscription.endpoint)
        answer = await self.client.request(
            "POST",
            subscription.endpoint,
            headers={
                "Authorization": self.vapid.header(target.origin),
                "Content-Encoding": "aes128gcm",
                "Content-Type": "application/octet-stream",
                "TTL": str(message.ttl),
                "Urgency": message.urgency,
                "Topic": tag,
            },
            content=encrypt(subscription, message.encode(tag)),
            within=_WITHIN,
        )
        if not answer.is_success:
            raise _explain(answer, target.origin)


def tag_of(job: RunningJob) -> str:
    """What another attempt at the same job has too, so that its push replaces this one and is not shown beside it."""
    digest = hashlib.sha256(job_key("notification", job).encode()).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()


def encrypt(subscription: Subscription, message: bytes) -> bytes:
    """``message`` in ``aes128gcm``, which this browser alone can read.

    Raises:
        PayloadError: the browser's public key is not a point of the curve.
    """
    from pywebpush import WebPusher  # type: ignore[import-untyped]  # here: it is of an extra, and large

    try:
        pusher = WebPusher(
            {
                "endpoint": subscription.endpoint,
                "keys": {
                    "p256dh": subscription.keys.p256dh.rstrip("="),
                    "auth": subscription.keys.auth.rstrip("="),
                },
            }
        )
        body: bytes = pusher.encode(message)["body"]
    except (ValueError, IndexError):
        raise PayloadError(
            "subscription.keys.p256dh: is not a browser's public key", field="subscription.keys.p256dh"
        ) from None
    return body


def _explain(answer: GuardedAnswer, service: str) -> TorilError:
    status = answer.status
    text = f"{service} answered the push with HTTP {status}" + (f" ({answer.said})" if answer.said else "")
    if status in (404, 410):
        return SubscriptionGoneError(f"{text}: the subscription has expired")
    if status in (401, 403):
        return NotConfiguredError(
            f"{text}: it refuses our keys for this subscription. Check VAPID_PUBLIC_KEY, VAPID_PRIVATE_KEY and "
            "CONTACT_EMAIL; a browser that subscribed with another public key must subscribe again"
        )
    if status in (408, 425, 429) or status >= 500:
        wait = retry_after_seconds(answer.headers.get("retry-after"), now=datetime.now(UTC))
        # Up to a quarter more, so that all that were turned away do not come back at once.
        later = None if wait is None else wait * random.uniform(1.0, 1.25)  # noqa: S311 - not for secrets
        return RetryableError(f"{text}; trying again later", retry_after=later)
    return UnrecoverableError(f"{text}: it refuses this message")
