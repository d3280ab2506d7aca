"""Which firm a mail is of: whose list of suppressed addresses counts, and where replies go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from toril.queues.email.addresses import Mailbox


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFirm:
    """A firm, as far as mail is concerned. ``reply_to`` is where its people read what is written back."""

    id: str
    reply_to: Mailbox | None = None


class FindFirm(Protocol):
    """Finds the firm of a mail."""

    async def __call__(self, firm_id: str | None, *, campaign_id: str | None = None) -> MailFirm | None:
        """The firm that is named, or that the campaign is of, or the only one of the installation; else None.

        Raises:
            PayloadError: there is no firm with the id ``firm_id``.
        """
        ...
