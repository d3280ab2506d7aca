"""What was sent, kept outside of the queue, so that a job that runs again sends nothing twice."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

_SUPPRESSED: Final = "suppressed: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one mail: the provider's id for it, or why it will never be taken."""

    message_id: str | None = None
    error: str | None = None

    @property
    def suppressed(self) -> str | None:
        """Why the address was left out, if it was."""
        error = self.error or ""
        return error.removeprefix(_SUPPRESSED) if error.startswith(_SUPPRESSED) else None

    @classmethod
    def of_suppressed(cls, suppression: Suppression) -> Outcome:
        """Of an address that is on the list."""
        return cls(error=f"{_SUPPRESSED}{suppression.reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """Why an address gets no mail to many: ``unsubscribed``, ``bounced``, ``complained``, ``suppressed`` (by the
    provider). ``stops_all``: nor a mail that concerns it alone."""

    reason: str
    stops_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRecord:
    """A campaign's mail to one recipient.

    Attributes:
        id: what ``finish_campaign`` names it by.
        tracking_id: what its links carry; that of the job which came first.
        is_new: nobody has tried to send it before.
        is_open: somebody began, and what came of it is not known.
        message_id: the provider's, once it is sent.
        age_s: seconds since the first job began.
    """

    id: str
    tracking_id: str
    is_new: bool
    is_open: bool
    message_id: str | None
    age_s: float


class SentLedger(Protocol):
    """Keeps what was sent. When a method that records has returned, a crash does not undo it."""

    async def outcomes(self, job: str) -> Mapping[str, Outcome]:
        """What came of the mails of a bulk job, by the key of each."""
        ...

    async def record(self, job: str, outcomes: Mapping[str, Outcome]) -> None:
        """Keep what came of some mails of a bulk job, all or none."""
        ...

    async def suppressed(self, emails: Collection[str], *, firm_id: str | None) -> Mapping[str, Suppression]:
        """Those of ``emails``, in lower case, that get no mail of a firm, and why.

        Args:
            firm_id: None where it is not known; then the list of any firm counts.
        """
        ...

    async def begin_campaign(self, campaign_id: str, email: str, *, tracking_id: str) -> CampaignRecord:
        """Note that a campaign's mail is about to be sent, unless that is noted already.

        Raises:
            PayloadError: the tracking id is that of another mail.
        """
        ...

    async def finish_campaign(self, record_id: str, outcome: Outcome) -> None:
        """Keep what came of a campaign's mail."""
        ...
