"""The ledger of sent mail in the application's database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from toril.db.errors import RecordConflictError
from toril.db.insist import insist
from toril.db.models.mail import STOPS_ALL, SendStatus
from toril.db.repositories.mail import BulkSends, Campaigns
from toril.db.repositories.suppressions import Suppressions
from toril.db.session import Database
from toril.errors import PayloadError
from toril.queues.email.ledger import CampaignRecord, Outcome, Suppression


class DatabaseLedger:
    """A ``SentLedger`` in the tables ``bulk_sends``, ``campaign_sends`` and ``mail_suppressions``."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def outcomes(self, job: str) -> Mapping[str, Outcome]:
        """See ``SentLedger``."""
        async with self.database.reading() as session:
            sends = await BulkSends(session).list(job)
        return {
            key: Outcome(message_id=send.message_id, error=send.error)
            for key, send in sends.items()
            if send.status is not SendStatus.SENDING
        }

    async def record(self, job: str, outcomes: Mapping[str, Outcome]) -> None:
        """See ``SentLedger``."""
        found = {key: (outcome.message_id, outcome.error) for key, outcome in outcomes.items()}

        async def write() -> None:
            async with self.database.session() as session:
                await BulkSends(session).record(job, found)

        await insist(write)

    async def suppressed(self, emails: Collection[str], *, firm_id: str | None) -> Mapping[str, Suppression]:
        """See ``SentLedger``."""
        async with self.database.reading() as session:
            found = await Suppressions(session).find(emails, firm_id=firm_id)
        return {
            email: Suppression(reason=reason.value, stops_all=reason in STOPS_ALL)
            for email, reason in found.items()
        }

    async def begin_campaign(self, campaign_id: str, email: str, *, tracking_id: str) -> CampaignRecord:
        """See ``SentLedger``."""
        try:
            async with self.database.session() as session:
                send, is_new = await Campaigns(session).begin(campaign_id, email, tracking_id=tracking_id)
        except RecordConflictError as error:
            raise PayloadError(
                f"trackingId: {tracking_id!r} is that of another mail, to somebody else or of another campaign; each "
                "mail needs its own",
                field="trackingId",
            ) from error
        return CampaignRecord(
            id=send.id,
            tracking_id=send.tracking_id,
            is_new=is_new,
            is_open=send.status is SendStatus.SENDING,
            message_id=send.message_id if send.status is SendStatus.SENT else None,
            age_s=(datetime.now(UTC) - send.created_at).total_seconds(),
        )

    async def finish_campaign(self, record_id: str, outcome: Outcome) -> None:
        """See ``SentLedger``."""

        async def write() -> None:
            async with self.database.session() as session:
                await Campaigns(session).finish(
                    record_id, now=datetime.now(UTC), message_id=outcome.message_id, error=outcome.error
                )

        await insist(write)
