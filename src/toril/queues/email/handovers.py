"""By which way a mail was handed over: what two providers must know of one another, so that a mail goes once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Way = Literal["first", "fallback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """One way of one mail.

    Attributes:
        is_open: it was begun, and nobody knows what came of it.
        message_id: the provider's name for the mail, if it took it.
    """

    is_open: bool
    message_id: str | None = None


class Handovers(Protocol):
    """Keeps them, by idempotency key. What a method has noted, a crash does not undo."""

    async def find(self, key: str) -> Mapping[Way, Handover]:
        """What is known of a mail."""
        ...

    async def begin(self, key: str, way: Way) -> None:
        """Note that it is about to be handed over."""
        ...

    async def end(self, key: str, way: Way, *, message_id: str | None) -> None:
        """Note that the provider took it, or with None that it certainly did not."""
        ...
