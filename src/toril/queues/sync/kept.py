"""What of a service's answer is kept beside what we made of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from toril.queues.sync.vendor_answer import redact


def kept(value: Any, *, secrets: Iterable[str] = ()) -> Any:
    """A JSON value as it came, fit for any database: without our secrets, should the service repeat them, and with
    question marks for halves of characters."""
    hidden = tuple(secrets)
    if isinstance(value, dict):
        return {_text(name, hidden): kept(each, secrets=hidden) for name, each in value.items()}
    if isinstance(value, list):
        return [kept(each, secrets=hidden) for each in value]
    return _text(value, hidden) if isinstance(value, str) else value


def _text(value: str, secrets: tuple[str, ...]) -> str:
    return redact(value, secrets).encode("utf-8", "replace").decode()


def plain(value: Any) -> str | None:
    """A service's text for a column of text, which takes no NUL on PostgreSQL; None for what is no text."""
    return _text(value, ()).replace("\0", "\ufffd") if isinstance(value, str) else None
