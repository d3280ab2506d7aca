"""The type ``push``: Web Push to one browser, or to all browsers of one user."""

from __future__ import annotations

from dataclasses import dataclass

from toril.db.errors import RecordNotFoundError
from toril.db.session import Database
from toril.errors import NotConfiguredError
from toril.queues.base import RunningJob
from toril.queues.notification.payloads import Push, PushUser, Subscription
from toril.queues.notification.people import strangers
from toril.queues.notification.push_run import EXPIRED, PushRun, forget
from toril.queues.notification.results import PushResult
from toril.queues.notification.web_push import SubscriptionGoneError, WebPush, tag_of
from toril.queues.ssrf import BlockedAddressError


@dataclass(frozen=True, slots=True, kw_only=True)
class PushNotifier:
    """Sends the push of one job, and forgets subscriptions that are over.

    Attributes:
        web_push: None when there are no keys; then jobs fail.
        parallel: messages of one job that are on their way at a time.
    """

    web_push: WebPush | None
    database: Database
    parallel: int = 20

    async def __call__(self, payload: Push, job: RunningJob) -> PushResult:
        """Send one push: to the browser that the job names, or else to all that the user registered.

        Returns:
            ``{"success": True, "userId": …, "title": …}``, and by user ``browsers``, how many took it; for a
            subscription that is over ``success`` is false, and ``expired`` true; for a user without one ``success`` is
            false, and ``error`` says so.

        Raises:
            As ``WebPush.send``; ``NotConfiguredError`` also when there are no keys.
            RecordNotFoundError: the user is not one of the firm.
        """
        web_push = require_keys(self.web_push)
        await job.update_progress(10)
        if payload.firm_id is not None:
            async with self.database.reading() as session:
                if await strangers(session, [payload.user_id], firm_id=payload.firm_id):
                    raise RecordNotFoundError("user", payload.user_id)
        if payload.subscription is None:
            result = await self._to_all(web_push, payload, job)
        else:
            result = await self._to_one(web_push, payload, payload.subscription, job)
        await job.update_progress(100)
        return result

    async def _to_one(
        self, web_push: WebPush, payload: Push, subscription: Subscription, job: RunningJob
    ) -> PushResult:
        result: PushResult = {"success": True, "userId": payload.user_id, "title": payload.title}
        try:
            await web_push.send(subscription, payload, tag=tag_of(job))
        except SubscriptionGoneError:
            await forget(self.database, subscription)
            result |= {"success": False, "expired": True, "error": EXPIRED}
        except BlockedAddressError as error:
            raise BlockedAddressError(f"subscription.endpoint: {error}") from None
        return result

    async def _to_all(self, web_push: WebPush, payload: Push, job: RunningJob) -> PushResult:
        run = PushRun(
            web_push=web_push,
            database=self.database,
            message=payload,
            users=[PushUser(user_id=payload.user_id)],
            firm_id=payload.firm_id,
            job=job,
            told=10,
        )
        [row] = await run.send(parallel=self.parallel)
        result: PushResult = {"success": row["success"], "userId": payload.user_id, "title": payload.title}
        if "browsers" in row:
            result["browsers"] = row["browsers"]
        if "expired" in row:
            result["expired"] = row["expired"]
        if not row["success"]:
            result["error"] = row.get("error") or ""
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
