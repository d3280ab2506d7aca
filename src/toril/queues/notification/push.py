"""The type ``push``: Web Push to one browser."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from toril.db.repositories.notifications import PushSubscriptions
from toril.db.session import Database
from toril.errors import NotConfiguredError
from toril.queues.base import RunningJob
from toril.queues.job_key import job_key
from toril.queues.notification.payloads import Push, Subscription
from toril.queues.notification.results import PushResult
from toril.queues.notification.web_push import SubscriptionGoneError, WebPush
from toril.queues.ssrf import BlockedAddressError

#: What a result says of a subscription that is over.
EXPIRED: Final = "Subscription expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushNotifier:
    """Sends the push of one job, and forgets its subscription if that is over.

    Attributes:
        web_push: None when there are no keys; then jobs fail.
    """

    web_push: WebPush | None
    database: Database

    async def __call__(self, payload: Push, job: RunningJob) -> PushResult:
        """Send one push.

        Returns:
            ``{"success": True, "userId": …, "title": …}``; for a subscription that is over ``success`` is false, and
            ``expired`` true.

        Raises:
            As ``WebPush.send``; ``NotConfiguredError`` also when there are no keys.
        """
        web_push = require_keys(self.web_push)
        await job.update_progress(10)
        result: PushResult = {"success": True, "userId": payload.user_id, "title": payload.title}
        try:
            await web_push.send(payload.subscription, payload, tag=tag_of(job))
        except SubscriptionGoneError:
            await forget(self.database, payload.subscription)
            result |= {"success": False, "expired": True, "error": EXPIRED}
        except BlockedAddressError as error:
            raise BlockedAddressError(f"subscription.endpoint: {error}") from None
        await job.update_progress(100)
        return result


def require_keys(web_push: WebPush | None) -> WebPush:
    """What sends pushes.

    Raises:
        NotConfiguredError: there are no keys.
    """
    if web_push is None:
        raise NotConfiguredError(
            "push is not configured: set VAPID_PUBLIC_KEY, VAPID_PRIVATE_KEY and CONTACT_EMAIL"
        )
    return web_push


def tag_of(job: RunningJob) -> str:
    """What another attempt at the same job has too, so that its push replaces this one and is not shown beside it."""
    digest = hashlib.sha256(job_key("notification", job).encode()).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()


async def forget(database: Database, subscription: Subscription) -> None:
    """Delete a subscription that its push service no longer knows, whosever it is."""
    async with database.session() as session:
        await PushSubscriptions(session).delete(subscription.endpoint)
