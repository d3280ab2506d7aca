"""The firms of mails, from the database."""

from __future__ import annotations

from sqlalchemy import select

from toril.db.ids import is_id
from toril.db.models import EmailCampaign, Firm
from toril.db.session import Database
from toril.errors import OptionError, PayloadError
from toril.queues.email.addresses import Mailbox, parse_mailbox
from toril.queues.email.firms import MailFirm


class DatabaseFirms:
    """A ``FindFirm``."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def __call__(self, firm_id: str | None, *, campaign_id: str | None = None) -> MailFirm | None:
        """See ``FindFirm``."""
        async with self.database.reading() as session:
            if firm_id is None and campaign_id is not None and is_id(campaign_id):
                firm_id = await session.scalar(
                    select(EmailCampaign.firm_id).where(EmailCampaign.id == campaign_id)
                )
            if firm_id is not None:
                firm = await session.get(Firm, firm_id) if is_id(firm_id) else None
                if firm is None:
                    raise PayloadError(
                        f"firmId: {firm_id!r} was not found or access is denied", field="firmId"
                    )
            else:
                some = (await session.scalars(select(Firm).limit(2))).all()
                firm = some[0] if len(some) == 1 else None
        return None if firm is None else MailFirm(id=firm.id, reply_to=_reply_to(firm))


def _reply_to(firm: Firm) -> Mailbox | None:
    """A firm's address, with its name where that can stand in a header."""
    try:
        box = parse_mailbox(firm.email or "")
    except OptionError:
        return None
    try:
        return Mailbox(box.address, firm.name_ar if firm.language == "ar" else firm.name_en)
    except OptionError:
        return box
