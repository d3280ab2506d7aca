"""The ledger of sent mail, and visits to the links in it, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.errors import DatabaseUnavailableError
from toril.db.repositories.mail import Campaigns
from toril.db.session import Database
from toril.errors import PayloadError
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.ledger import Outcome
from toril.queues.email.tracking import TrackedMail, Tracker, TrackingAction, TrackingVisit
from toril.queues.email.visits import note_visit

SENT, FAILED = Outcome(message_id="id"), Outcome(error="550 no such user")


async def test_outcomes_come_back_as_they_were_recorded(database: Database) -> None:
    ledger = DatabaseLedger(database)
    assert await ledger.outcomes("email:1:0") == {}
    await ledger.record("email:1:0", {"a@example.com": SENT, "b@example.com": FAILED})
    await ledger.record("email:1:0", {"a@example.com #2": SENT})
    await ledger.record("email:2:0", {"a@example.com": FAILED})
    assert await ledger.outcomes("email:1:0") == {
        "a@example.com": SENT,
        "b@example.com": FAILED,
        "a@example.com #2": SENT,
    }


async def test_the_longest_names_fit(database: Database) -> None:
    ledger = DatabaseLedger(database)
    address = f"{'a' * 64}@{'b' * 185}.com #10000"
    await ledger.record("j" * 320, {address: Outcome(message_id="m" * 200)})
    assert set(await ledger.outcomes("j" * 320)) == {address}
    record = await ledger.begin_campaign("c" * 64, address[:254], tracking_id="t" * 128)
    await ledger.finish_campaign(record.id, SENT)


async def test_a_campaigns_mail_is_begun_once(database: Database) -> None:
    ledger = DatabaseLedger(database)
    first = await ledger.begin_campaign("c-1", "a@example.com", tracking_id="t-1")
    assert (first.is_new, first.is_open, first.message_id, first.tracking_id) == (True, True, None, "t-1")
    again = await ledger.begin_campaign("c-1", "a@example.com", tracking_id="t-2")
    assert (again.id, again.is_new, again.is_open, again.tracking_id) == (first.id, False, True, "t-1")
    assert 0 <= again.age_s < 60
    await ledger.finish_campaign(first.id, FAILED)
    failed = await ledger.begin_campaign("c-1", "a@example.com", tracking_id="t-1")
    assert (failed.is_open, failed.message_id) == (False, None)
    await ledger.finish_campaign(first.id, SENT)
    sent = await ledger.begin_campaign("c-1", "a@example.com", tracking_id="t-1")
    assert (sent.is_open, sent.message_id) == (False, "id")


async def test_a_tracking_id_of_another_mail_is_refused(database: Database) -> None:
    ledger = DatabaseLedger(database)
    await ledger.begin_campaign("c-1", "a@example.com", tracking_id="t-1")
    with pytest.raises(PayloadError) as caught:
        await ledger.begin_campaign("c-2", "a@example.com", tracking_id="t-1")
    assert caught.value.field == "trackingId"


async def test_what_was_sent_is_recorded_although_the_database_is_away_for_a_moment(
    database: Database, tmp_path: Path
) -> None:
    class Flickering(Database):
        failures = 1

        @asynccontextmanager
        async def session(self) -> AsyncIterator[AsyncSession]:
            if self.failures:
                self.failures -= 1
                raise DatabaseUnavailableError("away")
            async with database.session() as session:
                yield session

    unused = Flickering(f"sqlite:///{tmp_path / 'unused.db'}")
    await DatabaseLedger(unused).record("email:1:0", {"a@example.com": SENT})
    assert await DatabaseLedger(database).outcomes("email:1:0") == {"a@example.com": SENT}


async def test_visits_are_counted_and_the_way_out_is_taken(database: Database) -> None:
    ledger, tracker = DatabaseLedger(database), Tracker("https://mail.firm.example", ["s" * 32])
    record = await ledger.begin_campaign("c-1", "a@example.com", tracking_id="t-1")
    await ledger.finish_campaign(record.id, SENT)
    mail = TrackedMail(campaign_id="c-1", tracking_id="t-1")
    urls: list[tuple[TrackingAction, str]] = [
        ("open", tracker.open_url(mail)),
        ("click", tracker.click_url(mail, "https://firm.example/news")),
        ("click", tracker.click_url(mail, "https://firm.example/other")),
        ("unsubscribe", tracker.unsubscribe_url(mail)),
        ("unsubscribe", tracker.unsubscribe_url(mail)),
    ]
    assert not await ledger.suppressed(["a@example.com"], firm_id=None)
    for action, url in urls:
        visit = tracker.read(action, url.rpartition("/")[2])
        assert visit is not None
        assert await note_visit(database, visit)
    assert await ledger.suppressed(["A@example.com"], firm_id=None)
    async with database.reading() as session:
        counts = await Campaigns(session).counts("c-1")
    assert counts == {"sending": 0, "sent": 1, "failed": 0, "open": 1, "click": 1}


@pytest.mark.parametrize("action", ["open", "click", "unsubscribe"])
async def test_a_visit_to_a_mail_that_is_gone_changes_nothing(
    database: Database, action: TrackingAction
) -> None:
    mail = TrackedMail(campaign_id="c-1", tracking_id="gone")
    assert not await note_visit(database, TrackingVisit(action=action, mail=mail, target="https://x.example"))
