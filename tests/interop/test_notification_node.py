"""Notification jobs that Node adds, and whose results Node reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.interop import WITH_NODE, WITHIN, OpenNode
from tests.support.node import NodeError
from tests.support.notification_jobs import USER, notification
from tests.support.notification_tls import PUSH_NAME, Names, client_tls, local_guard, server_tls, under_name

from toril.db.session import Database
from toril.queues.notification import (
    Channels,
    LogProvider,
    Vapid,
    WebhookSigner,
    new_keys,
    new_secret,
    notification_queue,
)
from toril.queues.registry import make_worker, open_queue
from toril.testing.vendors.push import push_service
from toril.testing.vendors.server import Reply, vendor_server

pytestmark = WITH_NODE

RESULT = {
    "push": {"success", "userId", "title"},
    "in-app": {"success", "userId", "notificationId"},
    "sms": {"success", "phoneNumber", "messageId"},
    "webhook": {"success", "webhookUrl", "statusCode", "response"},
    "bulk-push": {"success", "total", "successCount", "failedCount", "results"},
}


async def test_each_type_is_worked_for_node(
    open_node: OpenNode, server_url: str, prefix: str, tmp_path: Path
) -> None:
    public, private = new_keys()
    node = await open_node("notification")
    async with (
        Database(home=tmp_path) as database,
        push_service(public, tls=server_tls(PUSH_NAME), host=PUSH_NAME) as service,
        vendor_server(lambda request: Reply(200, {"ok": True}), tls=server_tls(PUSH_NAME)) as hooks,
    ):
        await database.upgrade()
        channels = Channels(
            sms=LogProvider(tmp_path / "sms"),
            vapid=Vapid(public, private, contact="push@firm.example"),
            webhook_signer=WebhookSigner([new_secret()]),
            guard=local_guard(Names()),
            tls=client_tls(),
        )
        definition = notification_queue(database=database, channels=channels)
        subscription = service.subscribe().subscription
        fields: dict[str, dict[str, Any]] = {
            "push": {"subscription": subscription},
            "webhook": {"webhookUrl": under_name(hooks.url, PUSH_NAME)},
            "bulk-push": {"users": [{"userId": USER, "subscription": subscription}]},
        }
        async with (
            open_queue(definition, url=server_url, prefix=prefix) as queue,
            make_worker(definition, queue),
        ):
            for type, expected in RESULT.items():
                job = await node.add_unnamed(notification(type, **fields.get(type, {})))
                result = await node.finished(str(job["id"]), within_s=WITHIN)
                assert result["success"] is True
                assert expected <= result.keys()
            job = await node.add_unnamed(notification("sms", message=None), attempts=3)
            with pytest.raises(NodeError, match="is not acceptable: message: Input should be a valid string"):
                await node.finished(str(job["id"]), within_s=WITHIN)
            failed = await node.get_job(str(job["id"]))
            assert failed is not None
            assert failed["attemptsMade"] == 1
        await definition.close()
