"""What every way of sending mail promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from toril.queues.email.message import Mail


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMail:
    """A mail the provider took.

    Attributes:
        message_id: the provider's name for it; what its delivery events and logs use.
        refused: recipients it did not take, with the reason; the others get the mail.
    """

    message_id: str
    refused: Mapping[str, str] = field(default_factory=dict)


class EmailProvider(Protocol):
    """Sends one mail at a time; may be called concurrently, from one event loop."""

    async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
        """Hand ``mail`` over.

        The same key with the same mail is the same mail: where the provider can tell, it goes out once.

        Raises:
            RetryableError: a passing fault; nothing was sent, or sending again with the same key is safe.
            UnknownOutcomeError: it may have been sent, and sending again could send it twice.
            NotConfiguredError: the credentials or settings were refused.
            UnrecoverableError: this mail will never be taken.
        """
        ...

    async def close(self) -> None:
        """Give connections back. May be called twice."""
        ...
