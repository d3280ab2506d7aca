"""Addresses on the list of suppressions: left out of mail to many, and for a bounce or a complaint out of all mail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob, bulk, campaign, transactional
from tests.support.email_ledger import mail_database
from tests.support.records import add_firm
from tests.support.resend_server import API_KEY, resend_server

from toril.db.models import EmailCampaign
from toril.db.repositories.suppressions import Suppressions
from toril.db.session import Database
from toril.errors import RetryableError
from toril.queues.email import OutboxProvider, Tracker, email_queue
from toril.queues.email.database_firms import DatabaseFirms
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.providers.resend import ResendProvider
from toril.queues.email.visits import leave_list

TRACKER = Tracker("https://mail.firm.example", ["s" * 32])


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with mail_database(tmp_path / "home") as opened:
        yield opened


async def run(provider: Any, database: Database, data: dict[str, Any], **job: Any) -> dict[str, Any]:
    queue = email_queue(
        provider,
        from_email="no-reply@mail.example.com",
        ledger=DatabaseLedger(database),
        tracker=TRACKER,
        find_firm=DatabaseFirms(database),
    )
    return await queue.process(PlainJob(data, **job))


async def suppress(database: Database, email: str, reason: str, firm_id: str | None = None) -> None:
    async with database.session() as session:
        await Suppressions(session).add(email, reason=reason, firm_id=firm_id)


@pytest.mark.parametrize("reason", ["unsubscribed", "bounced", "complained", "suppressed"])
async def test_a_bulk_job_leaves_out_and_names_who_is_suppressed(
    reason: str, tmp_path: Path, database: Database
) -> None:
    outbox = OutboxProvider(tmp_path / "out")
    await suppress(database, "C1@Example.com", reason)
    result = await run(outbox, database, bulk(3))
    assert sorted(mail.to for mail in await outbox.list()) == [
        "Client 0 <c0@example.com>",
        "Client 2 <c2@example.com>",
    ]
    row = result["results"][1]
    assert row == {
        "email": "c1@example.com",
        "success": False,
        "error": f"suppressed: {reason}",
        "suppressed": reason,
    }
    assert (result["success"], result["successCount"], result["failedCount"]) == (True, 2, 0)
    assert (result["suppressedCount"], result["total"]) == (1, 3)


async def test_who_unsubscribed_from_one_firm_gets_the_mail_of_another(
    tmp_path: Path, database: Database
) -> None:
    async with database.session() as session:
        one, other = [(await add_firm(session)).id for _ in range(2)]
    outbox = OutboxProvider(tmp_path / "out")
    await suppress(database, "c0@example.com", "unsubscribed", one)
    assert (await run(outbox, database, bulk(1, firmId=one), id="1"))["suppressedCount"] == 1
    assert (await run(outbox, database, bulk(1, firmId=other), id="2"))["successCount"] == 1
    # Whose mail this is nobody knows, so any list counts.
    assert (await run(outbox, database, bulk(1), id="3"))["suppressedCount"] == 1
    # The one account at the provider is that of all.
    await suppress(database, "c0@example.com", "bounced")
    assert (await run(outbox, database, bulk(1, firmId=other), id="4"))["suppressedCount"] == 1


async def test_a_campaign_is_of_the_firm_that_its_record_names(tmp_path: Path, database: Database) -> None:
    async with database.session() as session:
        one, other = [await add_firm(session) for _ in range(2)]
        session.add(record := EmailCampaign(firm_id=one.id, name="News", subject="News", html="<p>News</p>"))
        await session.flush()
        one_id, other_id, campaign_id = one.id, other.id, record.id
    await suppress(database, "client@example.com", "unsubscribed", other_id)
    outbox = OutboxProvider(tmp_path / "out")
    assert (await run(outbox, database, campaign(campaignId=campaign_id)))["success"]
    await suppress(database, "client@example.com", "unsubscribed", one_id)
    again = await run(outbox, database, campaign(campaignId=campaign_id), id="2")
    assert again["suppressed"] is True


async def test_an_unsubscribe_does_not_stop_a_mail_that_concerns_one_alone_but_a_bounce_does(
    tmp_path: Path, database: Database
) -> None:
    outbox = OutboxProvider(tmp_path / "out")
    await suppress(database, "client@example.com", "unsubscribed")
    assert (await run(outbox, database, transactional(), id="1"))["success"]
    await suppress(database, "client@example.com", "bounced")
    result = await run(outbox, database, transactional(), id="2")
    assert (result["success"], result["messageId"]) == (False, None)
    assert result["suppressed"] == [{"email": "client@example.com", "reason": "bounced"}]
    template = {
        "type": "template",
        "data": {"to": "client@example.com", "templateId": "otp", "templateData": {"code": "482913"}},
    }
    assert not (await run(outbox, database, template, id="3"))["success"]
    both = await run(
        outbox,
        database,
        transactional(to=["client@example.com", "b@example.com"], cc="CLIENT@example.com"),
        id="4",
    )
    assert (both["success"], both["suppressed"]) == (
        True,
        [
            {"email": "client@example.com", "reason": "bounced"},
            {"email": "CLIENT@example.com", "reason": "bounced"},
        ],
    )
    sent = await outbox.list()
    assert [mail.to for mail in sent] == ["b@example.com", "client@example.com"]


async def test_a_batch_whose_answer_was_lost_is_the_same_when_somebody_unsubscribes_meanwhile(
    database: Database,
) -> None:
    async with resend_server() as server:
        provider = ResendProvider(API_KEY, base_url=server.url)
        try:
            server.script.append("drop")
            with pytest.raises(RetryableError):
                await run(provider, database, bulk(3), attempts=3)
            await suppress(database, "c1@example.com", "unsubscribed")
            result = await run(provider, database, bulk(3), attempts=3, attempts_made=1)
        finally:
            await provider.close()
        assert result["successCount"] == 3
        assert sorted(to for mail in server.sent for to in mail["to"]) == [
            f"Client {n} <c{n}@example.com>" for n in range(3)
        ]


async def test_the_button_of_a_bulk_mail_takes_its_reader_off_the_list(
    tmp_path: Path, database: Database
) -> None:
    async with database.session() as session:
        firm_id = (await add_firm(session)).id
    outbox = OutboxProvider(tmp_path / "out")
    data = bulk(1, html='<p>{{name}} <a href="{{unsubscribe_url}}">no more</a></p>')
    await run(outbox, database, data, id="1")
    [stored] = await outbox.list()
    mail = message_from_bytes(stored.path.read_bytes(), policy=default)
    url = mail["List-Unsubscribe"].strip("<>")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    html = mail.get_body(("html",))
    assert html is not None
    assert url in html.get_content()
    member = TRACKER.read_leave(url.rpartition("/")[2])
    assert member is not None
    assert (member.email, member.firm_id) == ("c0@example.com", firm_id)
    assert TRACKER.read("unsubscribe", url.rpartition("/")[2]) is None
    assert Tracker("https://mail.firm.example", ["t" * 32]).read_leave(url.rpartition("/")[2]) is None
    await leave_list(database, member)
    assert (await run(outbox, database, data, id="2"))["suppressedCount"] == 1
