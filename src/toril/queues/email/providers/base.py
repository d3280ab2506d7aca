"""What every way of sending mail promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from toril.errors import PostponedError, RetryableError, UnrecoverableError
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


class ProviderBusyError(PostponedError):
    """The provider takes nothing from us for so many seconds, whatever mail it is."""


class QuotaUsedUpError(ProviderBusyError):
    """The account may send no more until its quota begins anew; nothing was sent."""


class NotSentError(RetryableError):
    """The provider could not be reached: it cannot have taken the mail."""


class EmailProvider(Protocol):
    """Sends one mail at a time; may be called concurrently, from one event loop.

    One whose account allows only so many calls a second says how many by an attribute ``per_second``; one that takes
    mails up to a size only says which by ``async def size_limit() -> int | None``, in bytes of the whole message, so
    that files that are too large are not read.
    """

    async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
        """Hand ``mail`` over.

        The same key with the same mail is the same mail: where the provider can tell, it goes out once.

        Raises:
            PostponedError: it says "later"; nothing was sent. ``ProviderBusyError`` if that goes for all mails.
            RetryableError: a passing fault; nothing was sent, or sending again with the same key is safe.
            UnknownOutcomeError: it may have been sent, and sending again could send it twice.
            NotConfiguredError: the credentials or settings were refused.
            UnrecoverableError: this mail will never be taken.
        """
        ...

    async def close(self) -> None:
        """Give connections back. May be called twice."""
        ...


class BatchRefusedError(UnrecoverableError):
    """A batch as a whole was refused and nothing of it sent; its mails may be taken one by one."""


@runtime_checkable
class BatchEmailProvider(EmailProvider, Protocol):
    """One that takes many mails in one call."""

    @property
    def batch_size(self) -> int:
        """The most mails in one call."""
        ...

    async def send_batch(
        self, mails: Sequence[Mail], *, idempotency_key: str
    ) -> Sequence[SentMail | UnrecoverableError]:
        """Hand over ``mails``, which have no attachments; a bad one does not stop the others.

        Returns:
            For each mail, in order, what came of it.
        Raises:
            BatchRefusedError: see there.
            Others as ``EmailProvider.send``, for all of them together.
        """
        ...
