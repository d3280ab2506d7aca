"""What a delivery of WhatsApp's webhook says: messages that came, and how far ours are.

Source: Meta's documentation of the WhatsApp Business Cloud API, webhook field ``messages``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from toril.db.models.whatsapp import MessageDirection, MessageStatus

_STATUSES: Final = {
    "sent": MessageStatus.SENT,
    "delivered": MessageStatus.DELIVERED,
    "read": MessageStatus.READ,
    "played": MessageStatus.READ,
    "failed": MessageStatus.FAILED,
    "deleted": MessageStatus.DELETED,
}
#: Meta's types, as we call them; any other is ``unknown``, and kept as it came.
_TYPES: Final = {
    "text": "text",
    "image": "image",
    "video": "video",
    "audio": "audio",
    "document": "document",
    "sticker": "sticker",
    "location": "location",
    "contacts": "contact",
    "interactive": "interactive",
    "button": "interactive",
    "reaction": "reaction",
}
_LONGEST_ID: Final = 128  #: characters
_SECONDS: Final = re.compile(r"[0-9]{9,11}")
#: PostgreSQL takes no such character in text.
_UNFIT: Final = "\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """How far one of our messages is; ``contact`` is who gets it."""

    message_id: str
    contact: str | None
    status: MessageStatus
    at: datetime
    error: str | None


@dataclass(slots=True)
class Delivery:
    """What could be read of one delivery, and a sentence about each thing that could not.

    Attributes:
        messages: attributes of ``WhatsAppMessage``, the same in each.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[StatusChange] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class _UnreadableError(Exception):
    """One part of a delivery is not as documented."""


def read_delivery(payload: Any, phone_number_id: str) -> Delivery:
    """Read what a delivery says about one number. What it says about others is left alone, as they may be of
    other firms."""
    found = Delivery()
    if not isinstance(payload, dict) or payload.get("object") != "whatsapp_business_account":
        found.problems.append("it is no notification of a WhatsApp business account")
        return found
    for value in _values(payload):
        metadata = value.get("metadata")
        if not isinstance(metadata, dict) or metadata.get("phone_number_id") != phone_number_id:
            continue
        names = _names(value)
        for message in _objects(value, "messages"):
            _collect(found, found.messages, partial(_message, names=names), message, "message")
        for status in _objects(value, "statuses"):
            _collect(found, found.statuses, _status, status, "status")
    return found


def _collect(
    found: Delivery, into: list[Any], read: Callable[[dict[str, Any]], Any], part: Any, kind: str
) -> None:
    try:
        if (one := read(part)) is not None:
            into.append(one)
    except _UnreadableError as error:
        found.problems.append(f"{kind} {str(part.get('id', ''))[:40]!r}: {error}")


def _values(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in _objects(payload, "entry"):
        for change in _objects(entry, "changes"):
            if change.get("field") == "messages" and isinstance(value := change.get("value"), dict):
                yield value


def _names(value: dict[str, Any]) -> dict[str, str]:
    """Names of people, by each id they have."""
    found = {}
    for contact in _objects(value, "contacts"):
        name = _object(contact, "profile").get("name")
        for key in ("wa_id", "user_id"):
            if isinstance(name, str) and isinstance(contact.get(key), str):
                found[contact[key]] = name
    return found


def _message(message: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    # People may hide their number; then there is an id that means them to this business only.
    sender = next((message[key] for key in ("from", "from_user_id") if _is_text(message.get(key))), None)
    sent_at = _moment(message)
    text = _text(message)
    return {
        "message_id": _id(message),
        "direction": MessageDirection.INBOUND,
        "contact": None if sender is None else _contact(sender),
        "contact_name": _clean(names[sender]) if sender in names else None,
        "type": _TYPES.get(str(message.get("type")), "unknown"),
        "text": None if text is None else _clean(text),
        "payload": message,
        "status": MessageStatus.RECEIVED,
        "status_at": sent_at,
        "error": _error(message),
        "sent_at": sent_at,
    }


def _status(status: dict[str, Any]) -> StatusChange | None:
    known = _STATUSES.get(str(status.get("status")))
    if known is None:
        return None  # one that Meta has added: says nothing that we keep
    error = _error(status) if known is MessageStatus.FAILED else None
    recipient = next(
        (status[key] for key in ("recipient_id", "recipient_user_id") if _is_text(status.get(key))), None
    )
    return StatusChange(
        message_id=_id(status),
        contact=None if recipient is None else _contact(recipient),
        status=known,
        at=_moment(status),
        error=error,
    )


def _text(message: dict[str, Any]) -> str | None:
    """What a person would read of it."""
    kind = str(message.get("type"))
    content = _object(message, kind)
    if kind == "interactive":
        content = next((part for part in content.values() if isinstance(part, dict)), {})
    order = {
        "text": ("body",),
        "location": ("name", "address"),
        "interactive": ("title", "body"),
        "button": ("text",),
        "reaction": ("emoji",),
    }
    wanted = order.get(kind, ("caption", "filename"))
    return next((content[key] for key in wanted if _is_text(content.get(key))), None)


def _error(part: dict[str, Any]) -> str | None:
    error = next(_objects(part, "errors"), None)
    if error is None:
        return None
    said = " ".join(str(error[key]) for key in ("code", "title") if error.get(key) is not None)
    return _clean(said)[:500] or "it does not say why"


def _id(part: dict[str, Any]) -> str:
    found = part.get("id")
    if not isinstance(found, str) or not found.strip() or len(found) > _LONGEST_ID or _UNFIT in found:
        raise _UnreadableError("it has no id that can be kept")
    return found


def _moment(part: dict[str, Any]) -> datetime:
    text = str(part.get("timestamp"))
    if _SECONDS.fullmatch(text) is None:
        raise _UnreadableError(f"its timestamp is {text[:40]!r} instead of seconds")
    return datetime.fromtimestamp(int(text), UTC)


def _contact(sender: str) -> str:
    """A phone number as in E.164; another id as it is."""
    return f"+{sender}" if sender.isascii() and sender.isdigit() else _clean(sender)[:128]


def _clean(text: str) -> str:
    return text.replace(_UNFIT, "\ufffd")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _object(part: dict[str, Any], key: str) -> dict[str, Any]:
    found = part.get(key)
    return found if isinstance(found, dict) else {}


def _objects(part: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    found = part.get(key)
    return (each for each in (found if isinstance(found, list) else []) if isinstance(each, dict))
