"""The type ``bulk-push``: the same Web Push to many browsers, several at a time, each once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from toril.db.models.mail import SendStatus
from toril.db.repositories.deliveries import Deliveries, DeliveryNote
from toril.db.session import Database
from toril.engine.outcome import attempts_of
from toril.errors import NotConfiguredError, PayloadError, RetryableError, UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.job_key import job_key
from toril.queues.notification.payloads import BulkPush, PushUser, Subscription
from toril.queues.notification.push import EXPIRED, forget, require_keys, tag_of
from toril.queues.notification.results import BulkPushResult, BulkPushRow
from toril.queues.notification.web_push import SubscriptionGoneError, WebPush
from toril.queues.send_once import SendOnce


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPushNotifier:
    """Sends the pushes of one job.

    Attributes:
        web_push: None when there are no keys; then jobs fail.
        parallel: messages of one job that are on their way at a time.
    """

    web_push: WebPush | None
    database: Database
    parallel: int = 20

    async def __call__(self, payload: BulkPush, job: RunningJob) -> BulkPushResult:
        """Send one push to many browsers.

        What has been sent is noted as it goes. When some could not be sent for a passing fault, the job is tried
        again, and then sends to those only; its last attempt counts them as failed.

        Returns:
            ``{"success": …, "total": …, "successCount": …, "failedCount": …, "results": [{"userId": …, "success": …,
            "error"?: …, "expired"?: True}, …]}`` in the order of the users; ``success`` when at least one was sent.

        Raises:
            RetryableError: some could not be sent yet.
            NotConfiguredError: there are no keys; or none was sent, and our keys were refused.
        """
        web_push = require_keys(self.web_push)
        await job.update_progress(1)
        key = job_key("notification", job)
        async with self.database.reading() as session:
            notes = await Deliveries(session).list(key)

        async def record(new: Mapping[str, DeliveryNote]) -> None:
            async with self.database.session() as session:
                await Deliveries(session).save(key, new)

        run = _Run(
            web_push=web_push,
            database=self.database,
            payload=payload,
            job=job,
            notes=notes,
            once=SendOnce(record),
        )
        await run.send(self.parallel)
        run.decide()
        await job.update_progress(100)
        return run.result()


@dataclass(slots=True, kw_only=True)
class _Run:
    """One attempt.

    Attributes:
        notes: what came of each, in this attempt and earlier ones, by recipient.
        later: what could not be sent yet, by recipient.
        refused: what our keys were refused for, by recipient.
    """

    web_push: WebPush
    database: Database
    payload: BulkPush
    job: RunningJob
    notes: dict[str, DeliveryNote]
    once: SendOnce[DeliveryNote]
    later: dict[str, RetryableError] = field(default_factory=dict)
    refused: dict[str, NotConfiguredError] = field(default_factory=dict)
    _told: int = 1  #: percent
    _worked: int = 0

    async def send(self, parallel: int) -> None:
        """Send to all who are left."""
        left = {
            recipient_of(user.user_id, user.subscription): user.subscription
            for user in self.payload.users
            if user.subscription is not None
        }
        total = len(left)
        left = {recipient: each for recipient, each in left.items() if recipient not in self.notes}
        self._worked = total - len(left)
        await self.once.run(
            left.items(), lambda each: self._send(*each, total), at_once=min(parallel, len(left))
        )

    def decide(self) -> None:
        """Whether this attempt ends the job.

        Raises:
            RetryableError, NotConfiguredError: it does not, or it does badly.
        """
        sent = any(note.status is SendStatus.SENT for note in self.notes.values())
        if self.later and not (sent and _is_last_attempt(self.job)):
            waits = [error.retry_after for error in self.later.values() if error.retry_after is not None]
            first = next(iter(self.later.values()))
            raise RetryableError(
                f"{len(self.later)} of {len(self.payload.users)} pushes could not be sent yet, the first because: "
                f"{first}",
                retry_after=max(waits, default=None),
            )
        if self.refused and not sent:
            raise next(iter(self.refused.values()))

    def result(self) -> BulkPushResult:
        """What the job returns."""
        results = [self._result_of(user) for user in self.payload.users]
        sent = sum(each["success"] for each in results)
        return {
            "success": sent > 0,
            "total": len(results),
            "successCount": sent,
            "failedCount": len(results) - sent,
            "results": results,
        }

    async def _send(self, recipient: str, subscription: Subscription, total: int) -> None:
        note = await self._attempt(recipient, subscription)
        if note is not None:
            self.notes[recipient] = note
            await self.once.note({recipient: note})
        self._worked += 1
        percent = 1 + 98 * self._worked // total
        if percent > self._told:
            self._told = percent
            await self.job.update_progress(percent)

    async def _attempt(self, recipient: str, subscription: Subscription) -> DeliveryNote | None:
        """Send one. What may come out otherwise another time has no note."""
        service = urlsplit(subscription.endpoint).netloc
        if self.once.is_away(service):
            self.later[recipient] = RetryableError(f"{service} does not take pushes now")
            return None
        try:
            await self.web_push.send(subscription, self.payload, tag=tag_of(self.job))
            self.once.count_success(service)
        except SubscriptionGoneError:
            await forget(self.database, subscription)
            return DeliveryNote(status=SendStatus.FAILED, error=EXPIRED)
        except RetryableError as error:
            self.later[recipient] = error
            self.once.count_fault(service)
            return None
        except NotConfiguredError as error:
            self.refused[recipient] = error
            return None
        except (UnrecoverableError, PayloadError) as error:
            return DeliveryNote(status=SendStatus.FAILED, error=str(error)[:500])
        return DeliveryNote(status=SendStatus.SENT)

    def _result_of(self, user: PushUser) -> BulkPushRow:
        failed: BulkPushRow = {"userId": user.user_id, "success": False}
        if user.subscription is None:
            return {**failed, "error": user.problem[:500]}
        recipient = recipient_of(user.user_id, user.subscription)
        note = self.notes.get(recipient)
        if note is None:
            return {**failed, "error": str(self.later.get(recipient) or self.refused[recipient])[:500]}
        if note.status is SendStatus.SENT:
            return {"userId": user.user_id, "success": True}
        if note.error == EXPIRED:
            return {**failed, "expired": True, "error": EXPIRED}
        return {**failed, "error": note.error}


def recipient_of(user_id: str, subscription: Subscription) -> str:
    """Names one browser of one user in the ledger."""
    return hashlib.sha256(f"{user_id}\n{subscription.endpoint}".encode()).hexdigest()


def _is_last_attempt(job: RunningJob) -> bool:
    return job.attempts_made + 1 >= attempts_of(getattr(job, "opts", {}))
