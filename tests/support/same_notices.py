"""Notifications for many workers at once: what is stored, sent and forgotten."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import select
from tests.support.notification_jobs import USER, notification
from tests.support.notification_tls import (
    PUSH_NAME,
    Names,
    client_tls,
    local_guard,
    server_tls,
    under_name,
)
from tests.support.same_work import Scenario, Scenarios, Work

from toril.db.models.deliveries import Delivery
from toril.db.models.mail import SendStatus
from toril.db.models.notifications import Notification, PushSubscription
from toril.db.session import Database
from toril.queues.base import QueueDefinition
from toril.queues.notification import (
    Channels,
    LogProvider,
    Vapid,
    WebhookSigner,
    new_keys,
    new_secret,
    notification_queue,
)
from toril.queues.report.processors import AddJob
from toril.testing.vendors.push import Browser, push_service
from toril.testing.vendors.server import Reply, VendorRequest, vendor_server

_HOOKS = "hooks.example.test"


async def notices(database: Database, stack: AsyncExitStack) -> Work:
    """Forty browsers of which every sixth is gone, to all of which three jobs send; and some of every other type."""
    keys, secret = new_keys(), new_secret()
    service = await stack.enter_async_context(
        push_service(keys[0], tls=server_tls(PUSH_NAME), host=PUSH_NAME)
    )
    called: Counter[str] = Counter()

    def answer(request: VendorRequest) -> Reply:
        called[request.headers["webhook-id"]] += 1
        return Reply(200, {"ok": True})

    hooks = await stack.enter_async_context(vendor_server(answer, tls=server_tls(_HOOKS)))
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    browsers = [service.subscribe(gone=number % 6 == 5) for number in range(42)]
    async with database.session() as session:
        session.add_all(
            PushSubscription(user_id=USER, endpoint=each.endpoint, **each.subscription["keys"])
            for each in browsers
        )

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        channels = Channels(
            sms=LogProvider(folder),
            vapid=Vapid(*keys, contact="push@firm.example"),
            webhook_signer=WebhookSigner([secret]),
            guard=local_guard(Names()),
            tls=client_tls(),
        )
        return [notification_queue(database=own, channels=channels)]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        async with own.reading() as session:
            stored = (await session.scalars(select(Notification.title))).all()
            notes = (await session.scalars(select(Delivery.status))).all()
            known = set((await session.scalars(select(PushSubscription.endpoint))).all())
        return {
            "received": [each.received for each in browsers],
            "forgotten": [each.endpoint not in known for each in browsers],
            "stored": Counter(stored),
            # To one who is gone a push may be tried before or after that is known; and a note that an SMS left may
            # come too late for its job, which has ended well.
            "sent": sum(status is not SendStatus.FAILED for status in notes),
            "sms": len([name for name in os.listdir(folder) if name.endswith(".json")]),
            "called": sorted(called.values()),
            "counts": [each["successCount"] for each in results if "successCount" in each],
        }

    everybody = [{"userId": USER, "subscription": each.subscription} for each in browsers]
    to_all = notification("bulk-push", users=everybody)
    hook = notification("webhook", webhookUrl=under_name(hooks.url, _HOOKS))
    jobs = []
    for number in range(20):
        jobs += [
            notification("in-app", title=f"N {number}"),
            notification("sms", phoneNumber=f"05123456{number:02}"),
            _push(browsers[number]),
            *([hook, to_all] if number % 5 == 2 else []),
            *([notification("push", subscription=...)] if number % 10 == 4 else []),
        ]
    return Work(open=open, jobs=jobs, left=left)


def _push(browser: Browser) -> dict[str, Any]:
    return notification("push", subscription=browser.subscription)


NOTICES: Scenarios = {
    "notifications": Scenario("notification", {"push", "in-app", "sms", "webhook", "bulk-push"}, notices),
}
