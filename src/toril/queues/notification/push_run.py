"""One attempt at one push to many: which browsers it goes to, and what comes of each."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from toril.db.insist import insist
from toril.db.models.mail import SendStatus
from toril.db.models.notifications import PushSubscription
from toril.db.repositories.deliveries import Deliveries, DeliveryNote
from toril.db.repositories.notifications import PushSubscriptions
from toril.db.session import Database
from toril.engine.outcome import attempts_of
from toril.errors import NotConfiguredError, PayloadError, RetryableError, UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.job_key import job_key
from toril.queues.notification.payloads import PushMessage, PushUser, Subscription, SubscriptionKeys
from toril.queues.notification.people import plain_id, strangers
from toril.queues.notification.results import BulkPushRow
from toril.queues.notification.web_push import SubscriptionGoneError, WebPush, tag_of
from toril.queues.send_once import SendOnce

#: What a result says of a subscription that is over, and of a user who has none.
EXPIRED: Final = "Subscription expired"
NO_SUBSCRIPTION: Final = "No subscription"

#: Users whose browsers are looked up at a time.
_PART: Final = 500


@dataclass(slots=True, kw_only=True)
class PushRun:
    """One attempt at a job. A user that comes without a subscription stands for all browsers that they registered.

    Attributes:
        firm_id: nobody of another firm gets anything; None for whoever is named.
        told: percent of progress that was told already.
        notes: what came of each browser, in this attempt and earlier ones, by recipient.
        later: what could not be sent yet, by recipient.
        refused: what our keys were refused for, by recipient.
    """

    web_push: WebPush
    database: Database
    message: PushMessage
    users: Sequence[PushUser]
    firm_id: str | None
    job: RunningJob
    told: int = 1
    notes: dict[str, DeliveryNote] = field(default_factory=dict)
    later: dict[str, RetryableError] = field(default_factory=dict)
    refused: dict[str, NotConfiguredError] = field(default_factory=dict)
    _once: SendOnce[DeliveryNote] = field(init=False)
    _strangers: set[str] = field(default_factory=set)
    _browsers: dict[str, list[str]] = field(default_factory=dict)  # recipients, by user
    _planned: set[str] = field(default_factory=set)

    async def send(self, *, parallel: int) -> list[BulkPushRow]:
        """Send to all who are left.

        Returns:
            What came of each user, in their order.

        Raises:
            RetryableError: some could not be sent yet, and there is another attempt, or none was sent at all.
            NotConfiguredError: none was sent, and our keys were refused.
        """
        key = job_key("notification", self.job)
        async with self.database.reading() as session:
            self.notes = await Deliveries(session).list(key)

        async def record(new: Mapping[str, DeliveryNote]) -> None:
            async def write() -> None:
                async with self.database.session() as session:
                    await Deliveries(session).save(key, new)

            await insist(write)  # what was sent and is not noted is sent again

        self._once = SendOnce(record)
        named = {
            (plain_id(user.user_id), user.subscription.endpoint): recipient_of(
                user.user_id, user.subscription
            )
            for user in self.users
            if user.subscription is not None
        }
        for start in range(0, len(self.users), _PART):
            await self._send_part(start, self.users[start : start + _PART], named, parallel)
        self._decide()
        return self._rows()

    async def _send_part(
        self, start: int, users: Sequence[PushUser], named: Mapping[tuple[str, str], str], parallel: int
    ) -> None:
        part = await self._plan(users, named)
        self._planned |= part.keys()
        left = {
            recipient: subscription
            for recipient, subscription in part.items()
            if not (recipient in self.notes or recipient in self.later or recipient in self.refused)
        }
        done = len(part) - len(left)

        async def send(unit: tuple[str, Subscription]) -> None:
            nonlocal done
            await self._send(*unit)
            done += 1
            percent = 1 + 98 * (start + len(users) * done // len(part)) // len(self.users)
            if percent > self.told:
                self.told = percent
                await self.job.update_progress(percent)

        await self._once.run(left.items(), send, at_once=min(parallel, len(left)))

    async def _plan(
        self, users: Sequence[PushUser], named: Mapping[tuple[str, str], str]
    ) -> dict[str, Subscription]:
        """Where a push to these users goes, by recipient."""
        by_id = {user.user_id for user in users if user.is_all_browsers}
        devices: dict[str, list[Subscription]] = {}
        if by_id or self.firm_id is not None:
            async with self.database.reading() as session:
                ids = {user.user_id for user in users}
                self._strangers |= await strangers(session, ids, firm_id=self.firm_id)
                wanted = {plain_id(user_id) for user_id in by_id - self._strangers}
                found = await PushSubscriptions(session).of_users(wanted)
            devices = {
                user_id: [_subscription(each) for each in found.get(plain_id(user_id), ())]
                for user_id in by_id - self._strangers
            }
        part: dict[str, Subscription] = {}
        for user in users:
            if user.subscription is not None and user.user_id not in self._strangers:
                part[recipient_of(user.user_id, user.subscription)] = user.subscription
        for user_id, browsers in devices.items():
            own = self._browsers[user_id] = []
            for browser in browsers:
                # A browser that the job names too gets one push.
                recipient = named.get((plain_id(user_id), browser.endpoint))
                if recipient is None:
                    recipient = _browser_of(user_id, browser)
                    part[recipient] = browser
                own.append(recipient)
        return part

    async def _send(self, recipient: str, subscription: Subscription) -> None:
        note = await self._attempt(recipient, subscription)
        if note is not None:
            self.notes[recipient] = note
            await self._once.note({recipient: note})

    async def _attempt(self, recipient: str, subscription: Subscription) -> DeliveryNote | None:
        """Send one. What may come out otherwise another time has no note."""
        service = urlsplit(subscription.endpoint).netloc
        if self._once.is_away(service):
            self.later[recipient] = RetryableError(f"{service} does not take pushes now")
            return None
        try:
            await self.web_push.send(subscription, self.message, tag=tag_of(self.job))
            self._once.count_success(service)
        except SubscriptionGoneError:
            await forget(self.database, subscription)
            return DeliveryNote(status=SendStatus.FAILED, error=EXPIRED)
        except RetryableError as error:
            self.later[recipient] = error
            self._once.count_fault(service)
            return None
        except NotConfiguredError as error:
            self.refused[recipient] = error
            return None
        except (UnrecoverableError, PayloadError) as error:
            return DeliveryNote(status=SendStatus.FAILED, error=str(error)[:500])
        return DeliveryNote(status=SendStatus.SENT)

    def _decide(self) -> None:
        """Raise unless this attempt ends the job well."""
        sent = any(note.status is SendStatus.SENT for note in self.notes.values())
        if self.later and not (
            sent and self.job.attempts_made + 1 >= attempts_of(getattr(self.job, "opts", {}))
        ):
            waits = [error.retry_after for error in self.later.values() if error.retry_after is not None]
            first = next(iter(self.later.values()))
            raise RetryableError(
                f"{len(self.later)} of {len(self._planned)} pushes could not be sent yet, the first because: {first}",
                retry_after=max(waits, default=None),
            )
        if self.refused and not sent:
            raise next(iter(self.refused.values()))

    def _rows(self) -> list[BulkPushRow]:
        # Browsers that are gone by now have a note all the same.
        noted = defaultdict(set)
        for recipient in self.notes:
            user, separator, _ = recipient.partition(":")
            if separator:
                noted[user].add(recipient)
        return [self._row(user, noted) for user in self.users]

    def _row(self, user: PushUser, noted: Mapping[str, set[str]]) -> BulkPushRow:
        failed: BulkPushRow = {"userId": user.user_id, "success": False}
        if user.user_id in self._strangers:
            return {**failed, "error": f"user {user.user_id!r} not found or access denied"}
        if user.is_all_browsers:
            own = {*self._browsers[user.user_id], *noted.get(_user_of(user.user_id), ())}
            return self._row_of_browsers(failed, sorted(own))
        if user.subscription is None:
            return {**failed, "error": (user.problem or NO_SUBSCRIPTION)[:500]}
        return self._row_of_one(failed, recipient_of(user.user_id, user.subscription))

    def _row_of_browsers(self, failed: BulkPushRow, recipients: Sequence[str]) -> BulkPushRow:
        rows = [self._row_of_one(failed, recipient) for recipient in recipients]
        if sent := sum(row["success"] for row in rows):
            return {**failed, "success": True, "browsers": sent}
        # That one has expired is said only when there is nothing worse.
        rows.sort(key=lambda row: row.get("expired", False))
        return rows[0] if rows else {**failed, "error": NO_SUBSCRIPTION}

    def _row_of_one(self, failed: BulkPushRow, recipient: str) -> BulkPushRow:
        note = self.notes.get(recipient)
        if note is None:
            return {**failed, "error": str(self.later.get(recipient) or self.refused[recipient])[:500]}
        if note.status is SendStatus.SENT:
            return {**failed, "success": True}
        if note.error == EXPIRED:
            return {**failed, "expired": True, "error": EXPIRED}
        return {**failed, "error": note.error}


def recipient_of(user_id: str, subscription: Subscription) -> str:
    """Names one browser of one user in the ledger."""
    return hashlib.sha256(f"{user_id}\n{subscription.endpoint}".encode()).hexdigest()


def _browser_of(user_id: str, subscription: Subscription) -> str:
    """The same for a browser that the user registered; all of a user's begin alike, so that they are found again."""
    return f"{_user_of(user_id)}:{hashlib.sha256(subscription.endpoint.encode()).hexdigest()[:39]}"


def _user_of(user_id: str) -> str:
    return hashlib.sha256(plain_id(user_id).encode()).hexdigest()[:24]


def _subscription(stored: PushSubscription) -> Subscription:
    """As it was registered; it was checked then, and what is called is checked again."""
    keys = SubscriptionKeys.model_construct(p256dh=stored.p256dh, auth=stored.auth)
    return Subscription.model_construct(endpoint=stored.endpoint, keys=keys)


async def forget(database: Database, subscription: Subscription) -> None:
    """Delete a subscription that its push service no longer knows, whosever it is."""
    async with database.session() as session:
        await PushSubscriptions(session).delete(subscription.endpoint)
