"""Mail jobs of every type, added by Node's Bull and worked here; Node reads the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import bulk, campaign, template, transactional
from tests.support.email_ledger import mail_database
from tests.support.interop import WITH_NODE, OpenNode
from tests.support.node import NodeError

from toril.queues.email import OutboxProvider, email_queue
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.tracking import Tracker
from toril.queues.registry import make_worker, open_queue

pytestmark = WITH_NODE

FIELDS = {
    "transactional": {"success", "messageId", "to", "subject"},
    "bulk": {"success", "total", "successCount", "failedCount", "suppressedCount", "results"},
    "template": {"success", "messageId", "templateId", "to"},
    "campaign": {"success", "messageId", "campaignId", "recipientEmail"},
}
BAD = {
    "transactional": transactional(to="nobody"),
    "bulk": bulk(recipients=[]),
    "template": template(name=...),
    "campaign": campaign(trackingId=None),
}


async def test_node_adds_mail_of_every_type_and_reads_what_came_of_it(
    open_node: OpenNode, server_url: str, prefix: str, tmp_path: Path
) -> None:
    node = await open_node("email")
    outbox = OutboxProvider(tmp_path / "out")
    async with mail_database(tmp_path / "home") as database:
        definition = email_queue(
            outbox,
            from_email="o@mail.example.com",
            ledger=DatabaseLedger(database),
            tracker=Tracker("https://mail.firm.example", ["s" * 32]),
        )
        added: dict[str, dict[str, Any]] = {
            job["type"]: await node.add_unnamed(job, attempts=3)
            for job in (transactional(), bulk(), template(), campaign())
        }
        refused = {name: await node.add_unnamed(job, attempts=3) for name, job in BAD.items()}
        refused["unknown"] = await node.add_unnamed({"type": "postcard", "data": {}}, attempts=3)
        queue = open_queue(definition, url=server_url, prefix=prefix)
        async with queue, make_worker(definition, queue):
            for name, job in added.items():
                result = await node.finished(job["id"])
                assert set(result) == FIELDS[name]
                assert result["success"] is True
            for name, reason in (
                ("transactional", "to: "),
                ("bulk", "recipients: "),
                ("template", "templateData.name: "),
                ("campaign", "trackingId: "),
                ("unknown", "unknown type 'postcard'"),
            ):
                with pytest.raises(NodeError, match=reason):
                    await node.finished(refused[name]["id"])
                failed = await node.get_job(refused[name]["id"])
                assert failed is not None
                assert failed["attemptsMade"] == 1
    assert len(await outbox.list()) == 6
