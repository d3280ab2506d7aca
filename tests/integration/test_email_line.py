"""The line of those who want to call a mail provider: whoever makes no call is not waited for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.email_jobs import campaign, transactional
from tests.support.email_ledger import mail_database
from tests.support.resend_server import API_KEY, resend_server

from toril.db.repositories.suppressions import Suppressions
from toril.errors import JobFailedError
from toril.queues.email import email_queue
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.providers.resend import ResendProvider
from toril.queues.email.tracking import Tracker
from toril.queues.registry import make_worker, open_queue


async def test_a_mail_that_is_not_sent_holds_up_none_behind_it(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    """Each gets in line, and finds only then that there is nothing to send."""
    async with resend_server() as server, mail_database(tmp_path) as database:
        async with database.session() as session:
            for email, reason in (("never@example.com", "bounced"), ("no@example.com", "unsubscribed")):
                await Suppressions(session).add(email, reason=reason)
        provider = ResendProvider(API_KEY, base_url=server.url, per_second=100)
        definition = email_queue(
            provider,
            from_email="o@mail.example.com",
            ledger=DatabaseLedger(database),
            tracker=Tracker("https://mail.firm.example", ["s" * 32]),
            in_order=False,
        )
        async with open_queue(definition, url=server_url, prefix=prefix) as queue:
            nobody = [
                campaign(recipient={"email": "no@example.com"}),
                campaign(recipient={"email": "sara@example.com"}),
                campaign(recipient={"email": "sara@example.com"}, trackingId="t-2"),
                transactional(to="never@example.com"),
                transactional(attachments=[{"filename": "a", "path": "none"}], firmId="a" * 24),
            ]
            jobs = [await queue.add("__default__", data, attempts=1) for data in nobody]
            async with make_worker(definition, queue, concurrency=1):
                for job in jobs[:4]:
                    await job.result(timeout=60)
                with pytest.raises(JobFailedError):
                    await jobs[4].result(timeout=60)
            line = queue.keys.of("toril:turns:mail:line")
            assert await queue.connection.execute("ZRANGE", line, 0, -1) == []
        await definition.close()
    assert [mail["to"] for mail in server.sent] == [["sara@example.com"]]
