"""One job of every type of every queue, added by Node's Bull, worked by ``toril serve``; Node reads the results."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import Toril
from tests.support.interop import WITH_NODE, OpenNode
from tests.support.node import NodeError

from toril.cli.demo.jobs import one_of_each
from toril.cli.demo.records import prepare
from toril.cli.demo.services import demo_services
from toril.db.session import Database
from toril.queues.pdf.from_records import invoice_job
from toril.settings import Settings

pytestmark = WITH_NODE

#: What every result has, by queue and type.
FIELDS: dict[str, dict[str, set[str]]] = {
    "email": {
        "transactional": {"success", "messageId", "to", "subject"},
        "bulk": {"success", "total", "successCount", "failedCount", "suppressedCount", "results"},
        "template": {"success", "messageId", "templateId", "to"},
        "campaign": {"success", "messageId", "campaignId", "recipientEmail"},
    },
    "pdf": {
        "invoice": {"success", "invoiceId", "fileName", "filePath", "size"},
        "report": {"success", "reportId", "reportType", "fileName", "filePath", "size"},
        "statement": {"success", "statementId", "fileName", "filePath", "size"},
        "contract": {"success", "contractId", "fileName", "filePath", "size"},
        "custom": {"success", "fileName", "filePath", "size"},
    },
    "notification": {
        "push": {"success", "userId", "title"},
        "in-app": {"success", "userId", "notificationId"},
        "sms": {"success", "phoneNumber", "messageId"},
        "webhook": {"success", "webhookUrl", "statusCode", "response"},
        "bulk-push": {"success", "total", "successCount", "failedCount", "results"},
    },
    "report": {
        "financial": {"success", "reportId", "summary"},
        "analytics": {"success", "reportId", "summary"},
        "time-utilization": {"success", "reportId", "summary"},
        "client-aging": {"success", "reportId", "summary"},
        "custom": {"success", "reportId", "summary", "rows"},
        "data-export": {"success", "reportId", "summary", "fileName", "filePath", "recordCount"},
    },
    "cleanup": {
        name: {"success", "dryRun", "foundCount", "deletedCount"}
        for name in (
            *("old-logs", "temp-files", "sessions", "tokens", "notifications", "audit-logs"),
            *("failed-jobs", "deliveries", "campaigns", "reports"),
        )
    },
    "sync": {
        "currency-rates": {"success", "baseCurrency", "ratesCount"},
        "whatsapp-messages": {"success", "syncedCount", "totalMessages"},
        "bank-transactions": {"success", "syncedCount", "totalTransactions"},
        "payment-status": {"success", "paymentId", "status"},
        "zatca-invoice": {"success", "invoiceId", "status", "uuid"},
        "whatsapp-inbox": {"success", "numberCount"},
        "zatca-pending": {"success", "settledCount"},
        "mudad-payment": {"success", "paymentId", "status"},
        "wathq-contract": {"success", "contractId", "status"},
    },
}


def as_environment(values: dict[str, Any]) -> dict[str, str]:
    """Fields of ``Settings`` as variables."""
    variables = {each.name: each.metadata["setting"].variable for each in fields(Settings)}
    return {
        variables[name]: ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
    }


@pytest.mark.timeout(180)
async def test_node_adds_a_job_of_every_type_and_reads_what_came_of_it(
    open_node: OpenNode, server_url: str, prefix: str, tmp_path: Path
) -> None:
    home, run = tmp_path / "home", f"{datetime.now(UTC).timestamp() * 1e6:.0f}"
    async with Database(None, home=home) as database:
        await database.upgrade()
        records = await prepare(database, invoices=3, seed=1, run=run)
        async with demo_services(database, records, home=home) as services:
            jobs = one_of_each(records, services, run)
            jobs["pdf"]["invoice"] = invoice_job(records.invoices[0])
            jobs["email"]["transactional"] = {"to": "a@client.example", "subject": "مرحبا", "text": "Hello"}
            assert {queue: set(types) for queue, types in jobs.items()} == {
                queue: set(types) for queue, types in FIELDS.items()
            }
            toril = Toril(
                tmp_path,
                {
                    "TORIL_HOME": str(home),
                    "REDIS_URL": server_url,
                    "TORIL_PREFIX": prefix,
                    **as_environment(services.settings),
                },
            )
            async with toril.running("serve", "--no-web") as serving:
                await serving.line("serving")
                for queue, types in jobs.items():
                    node = await open_node(queue)
                    added = {
                        type: await node.add_unnamed({"type": type, "data": data}, attempts=3)
                        for type, data in types.items()
                    }
                    refused = await node.add_unnamed({"type": "unheard-of", "data": {}}, attempts=3)
                    results = await asyncio.gather(
                        *(node.finished(job["id"], within_s=60) for job in added.values())
                    )
                    for type, result in zip(added, results, strict=True):
                        assert result["success"] is True, (queue, type, result)
                        assert FIELDS[queue][type] <= set(result), (queue, type)
                    with pytest.raises(NodeError, match="unknown type 'unheard-of'"):
                        await node.finished(refused["id"])
                serving.send(signal.SIGINT)
                assert await serving.end() == 0
            assert [browser.received for browser in services.browsers] == [1, 1, 0]
            assert len(services.webhook.requests) == 1
