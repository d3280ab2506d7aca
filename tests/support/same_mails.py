"""Mail for many workers at once: by a provider that knows what it has sent, and by one that does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from sqlalchemy import select
from tests.support.email_jobs import bulk, campaign, template, transactional
from tests.support.email_ledger import bulk_sends, campaign_sends
from tests.support.resend_server import API_KEY, resend_server
from tests.support.same_work import Scenario, Scenarios, Work
from tests.support.smtp_server import mail_server

from toril.db.models.deliveries import Delivery
from toril.db.repositories.suppressions import Suppressions
from toril.db.session import Database
from toril.queues.base import QueueDefinition
from toril.queues.email import email_queue
from toril.queues.email.database_handovers import DatabaseHandovers
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.providers.circuit import Circuit
from toril.queues.email.providers.fallback import FallbackProvider
from toril.queues.email.providers.resend import ResendProvider
from toril.queues.email.providers.smtp import SmtpProvider
from toril.queues.email.tracking import Tracker
from toril.queues.report.processors import AddJob

_TRACKER = Tracker("https://mail.firm.example", ["s" * 32])


def _office(own: Database, resend_url: str, smtp_port: int) -> QueueDefinition:
    provider = FallbackProvider(
        ResendProvider(API_KEY, base_url=resend_url, per_second=1000),
        SmtpProvider(f"smtp://127.0.0.1:{smtp_port}"),
        handovers=DatabaseHandovers(own),
        circuit=Circuit(),
    )
    return email_queue(
        provider,
        from_email="o@mail.example.com",
        ledger=DatabaseLedger(own),
        tracker=_TRACKER,
        in_order=False,
    )


async def mails(database: Database, stack: AsyncExitStack) -> Work:
    """Bulk mails with somebody twice and somebody who wants none, three jobs for each campaign mail, single mails."""
    resend = await stack.enter_async_context(resend_server())
    smtp = await stack.enter_async_context(mail_server())
    async with database.session() as session:
        for email in ("c7@example.com", "c21@example.com"):
            await Suppressions(session).add(email, reason="unsubscribed")

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        return [_office(own, resend.url, smtp.port)]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        async with own.reading() as session:
            handed = Counter((await session.scalars(select(Delivery.recipient))).all())
        assert smtp.mails == []
        return {
            "arrived": Counter((mail["to"][0], mail["subject"]) for mail in resend.sent),
            "bulk": Counter((row.email, row.status, row.error) for row in await bulk_sends(own)),
            "campaigns": sorted((row.email, row.status, row.error) for row in await campaign_sends(own)),
            "handed over": handed,
            "counts": [
                [each[name] for name in ("successCount", "failedCount", "suppressedCount")]
                for each in results
                if "successCount" in each
            ],
        }

    lists = [
        bulk(105, subject=f"List {number}") | {"data": bulk(105)["data"] | {"subject": f"List {number}"}}
        for number in range(4)
    ]
    for each in lists:
        each["data"]["recipients"].append(each["data"]["recipients"][3])
    campaigns = [
        campaign(recipient={"email": f"c{number}@example.com"}, trackingId=f"t-{number}-{time}")
        for time in range(3)
        for number in range(23)
    ]
    single = [transactional(to=f"s{number}@example.com") for number in range(20)]
    single += [
        template() | {"data": template()["data"] | {"to": f"w{number}@example.com"}} for number in range(10)
    ]
    jobs = [*lists[:2], *campaigns[:34], *single, *lists[2:], *campaigns[34:]]
    return Work(open=open, jobs=jobs, left=left)


async def mails_by_the_fallback(database: Database, stack: AsyncExitStack) -> Work:
    """The first provider is away, and the other one sends again whatever it is given again."""
    resend = await stack.enter_async_context(resend_server())
    smtp = await stack.enter_async_context(mail_server())
    await resend.go_away()

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        return [_office(own, resend.url, smtp.port)]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        async with own.reading() as session:
            rows = await session.execute(select(Delivery.recipient, Delivery.status))
            handed = Counter(map(tuple, rows))
        return Counter(address for mail in smtp.mails for address in mail.recipients), handed[
            ("fallback", "sent")
        ]

    jobs = [bulk(40), *(transactional(to=f"s{number}@example.com") for number in range(50)), bulk(41)]
    return Work(open=open, jobs=jobs, left=left)


MAILS: Scenarios = {
    "mails": Scenario("email", {"bulk", "campaign", "transactional", "template"}, mails),
    "mails by the fallback": Scenario("email", {"bulk", "transactional"}, mails_by_the_fallback),
}
