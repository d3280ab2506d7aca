"""What every way of sending an SMS promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from toril.errors import UnrecoverableError


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsMessage:
    """One SMS, ready to send.

    Attributes:
        to: E.164, with its +.
        sender: a name or a number; None is the account's own.
        reference: names the job; not a key, as no service knows one.
    """

    to: str
    text: str
    sender: str | None
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentSms:
    """A message that the provider took. ``status`` is ``queued``, ``sent``, ``delivered``, or ``stored`` (here);
    ``provider`` says which, where several could have."""

    message_id: str
    status: str
    provider: str = ""


class NoRouteError(UnrecoverableError):
    """This provider does not reach the number; nothing was sent, and another provider may."""

    code = "no_route"


class OptedOutError(UnrecoverableError):
    """Whoever has this number wants no messages of ours, by any way; nothing was sent."""

    code = "opted_out"


class SmsProvider(Protocol):
    """Sends one SMS at a time; may be called concurrently, from one event loop."""

    @property
    def name(self) -> str:
        """For results and messages: ``twilio``."""
        ...

    async def send(self, message: SmsMessage) -> SentSms:
        """Hand ``message`` over. Nobody recognises a second time, so a message that may have been taken is not resent.

        Raises:
            RetryableError: a passing fault; nothing was sent.
            UnknownOutcomeError: it may have been sent.
            NotConfiguredError: the credentials, the account or the sender were refused.
            UnrecoverableError: this message will never be taken.
        """
        ...

    async def close(self) -> None:
        """Give connections back. May be called twice."""
        ...
