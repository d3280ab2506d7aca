"""Notifications, pushes and mail: noted once, and what came of them."""

from __future__ import annotations

from datetime import timedelta

from tests.support.records import NOW, add_firm

from toril.db.ids import new_id
from toril.db.models import CampaignSend, GeneratedFile, Notification, Report, SendStatus, TrackingKind
from toril.db.repositories.mail import BulkSends, Campaigns
from toril.db.repositories.notifications import Notifications, PushSubscriptions
from toril.db.repositories.reports import Files, Reports
from toril.db.repositories.suppressions import Suppressions
from toril.db.session import Database


async def test_a_job_that_runs_again_notifies_once(database: Database) -> None:
    values = {"user_id": "u1", "title": "Paid", "message": "Invoice 7", "job_id": "notification-1"}
    async with database.session() as session:
        first, new = await Notifications(session).add_once(values)
        assert new
    async with database.session() as session:
        second, new = await Notifications(session).add_once({**values, "title": "Paid again"})
        assert not new
    assert (second.id, second.title, second.details) == (first.id, "Paid", {})


async def test_notifications_are_listed_counted_and_read(database: Database) -> None:
    async with database.session() as session:
        for n in range(4):
            at = NOW + timedelta(minutes=n)
            session.add(Notification(user_id="u1", title=str(n), message="", created_at=at))
        session.add(Notification(user_id="u2", title="other", message=""))
        await session.flush()
        notifications = Notifications(session)
        page = await notifications.list(user_id="u1", limit=3)
        assert ([each.title for each in page.items], page.total) == (["3", "2", "1"], 4)
        ids = [each.id for each in page.items[:2]]
        assert await notifications.mark_read(user_id="u2", ids=ids, now=NOW) == 0
        assert await notifications.mark_read(user_id="u1", ids=ids, now=NOW) == 2
        assert await notifications.mark_read(user_id="u1", ids=ids, now=NOW) == 0
        assert await notifications.count_unread(user_id="u1") == 2
        unread = await notifications.list(user_id="u1", unread=True)
        assert [each.title for each in unread.items] == ["1", "0"]
        assert await notifications.mark_read(user_id="u1", now=NOW) == 2
        assert await notifications.count_unread(user_id="u1") == 0
        assert await notifications.count_unread(user_id="u2") == 1


async def test_a_browser_belongs_to_who_signed_in_last(database: Database) -> None:
    async with database.session() as session:
        subscriptions = PushSubscriptions(session)
        for user_id, auth in (("u1", "a"), ("u2", "b")):
            await subscriptions.save(user_id=user_id, endpoint="https://push/1", p256dh="k", auth=auth)
        await subscriptions.save(user_id="u2", endpoint="https://push/2", p256dh="k", auth="c")
        assert await subscriptions.list(user_id="u1") == []
        assert [each.auth for each in await subscriptions.list(user_id="u2")] == ["b", "c"]
        assert not await subscriptions.delete("https://push/1", user_id="u1")
        assert await subscriptions.delete("https://push/1")
        assert not await subscriptions.delete("https://push/1")
        assert await subscriptions.delete("https://push/2", user_id="u2")


async def test_a_bulk_job_finds_what_it_has_sent(database: Database) -> None:
    job = "email:7:1772355600000"
    async with database.session() as session:
        assert await BulkSends(session).begin(job, ["a@x.example", "b@x.example"]) == {
            "a@x.example",
            "b@x.example",
        }
        await BulkSends(session).begin("another", ["a@x.example"])
    async with database.session() as session:
        await BulkSends(session).finish(job, "a@x.example", message_id="m1")
        await BulkSends(session).finish(job, "b@x.example", error="no such mailbox")
    async with database.session() as session:
        assert await BulkSends(session).begin(job, ["a@x.example", "c@x.example"]) == {"c@x.example"}
        known = await BulkSends(session).list(job)
        assert {email: (send.status, send.message_id, send.error) for email, send in known.items()} == {
            "a@x.example": (SendStatus.SENT, "m1", None),
            "b@x.example": (SendStatus.FAILED, None, "no such mailbox"),
            "c@x.example": (SendStatus.SENDING, None, None),
        }


async def test_a_campaign_s_mails_are_noted_once_and_counted(database: Database) -> None:
    campaign = new_id()
    async with database.session() as session:
        campaigns = Campaigns(session)
        sends: list[CampaignSend] = []
        for n in range(4):
            send, new = await campaigns.begin(campaign, f"{n}@x.example", tracking_id=f"{campaign}-{n}")
            assert new
            sends.append(send)
        again, new = await campaigns.begin(campaign, "0@x.example", tracking_id="another")
        assert (again.id, again.tracking_id, new) == (sends[0].id, f"{campaign}-0", False)
        await campaigns.finish(sends[0].id, message_id="m0", now=NOW)
        await campaigns.finish(sends[1].id, message_id="m1", now=NOW)
        await campaigns.finish(sends[2].id, error="refused", now=NOW)
        for _ in range(3):
            assert await campaigns.track(f"{campaign}-0", TrackingKind.OPEN, now=NOW)
        assert await campaigns.track(f"{campaign}-1", TrackingKind.OPEN, now=NOW)
        assert await campaigns.track(f"{campaign}-0", TrackingKind.CLICK, now=NOW, url="https://x.example")
        assert not await campaigns.track("unknown", TrackingKind.OPEN, now=NOW)
        assert await campaigns.counts(campaign) == {
            "sending": 1,
            "sent": 2,
            "failed": 1,
            "open": 2,
            "click": 1,
        }
        await session.refresh(sends[0])
        assert (sends[0].status, sends[0].message_id, sends[0].sent_at) == ("sent", "m0", NOW)


async def test_a_suppressed_address_stays_suppressed(database: Database) -> None:
    async with database.session() as session:
        suppressions = Suppressions(session)
        await suppressions.add("Sara@X.example", reason="unsubscribed")
        await suppressions.add("sara@x.example", reason="bounced")
        found = await suppressions.find([" sara@X.example", "omar@x.example"], firm_id=None)
        assert found == {"sara@x.example": "bounced"}


async def test_a_report_goes_from_queued_to_ready_also_after_a_failure(database: Database) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        report = Report(firm_id=firm.id, type="financial", parameters={"startDate": "2026-01-01"})
        session.add(report)
        await session.flush()
        assert report.status == "queued"
        reports, own = Reports(session), {"firm_id": firm.id}
        assert await reports.take(report.id, **own, type="financial", job_id="report-1", now=NOW) is report
        assert (report.status, report.started_at) == ("running", NOW)
        reports.fail(report, error="no such client", now=NOW)
        assert (report.status, report.error, report.finished_at) == ("failed", "no such client", NOW)
        assert await reports.take(report.id, **own, type="financial", job_id="report-1", now=NOW) is report
        assert (report.status, report.error, report.finished_at) == ("running", None, None)
        file = GeneratedFile(
            **own, kind="report", name="r.pdf", path="p", size=9, media_type="application/pdf",
            queue="report", job_id="report-1",
        )  # fmt: skip
        session.add(file)
        await session.flush()
        reports.finish(report, summary={"net": "1.00"}, file_id=file.id, now=NOW)
        await session.flush()
        assert (report.status, report.summary, report.file_id) == ("ready", {"net": "1.00"}, file.id)
        assert await reports.find_of_job("report-1", **own) is report
        assert await reports.find_of_job("report-1", firm_id=new_id()) is None
        assert await Files(session).list_of_job("report", "report-1", **own) == [file]
        assert await Files(session).list_of_job("report", "report-1", firm_id=new_id()) == []
