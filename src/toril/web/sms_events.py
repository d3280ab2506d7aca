"""What SMS providers say in their webhooks: who signed it, what it is about, and what it means."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import orjson

from toril.errors import OptionError
from toril.queues.notification.phones import to_e164
from toril.queues.texts import storable

MAX_FIELDS: Final = 200

Status = Literal["sent", "delivered", "failed"]

_STATUSES: Final[Mapping[str, Status]] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "undeliverable": "failed",
    "failed": "failed",
    "canceled": "failed",
    "rejected": "failed",
    "expired": "failed",
}
#: What providers call the id of a message and its state, in small letters. Their consoles are not of one mind.
_IDS: Final = ("messagesid", "messageid", "msgid", "message_id", "smssid")
_STATES: Final = ("messagestatus", "dlr", "deliverystatus", "status", "smsstatus")
_ERRORS: Final = ("errorcode", "errormessage", "error", "reason")

#: A whole message of one of these words, as operators ask everybody to honour them.
_STOP: Final = frozenset(
    {
        *("stop", "stopall", "unsubscribe", "cancel", "end", "quit"),
        *("توقف", "إيقاف", "ايقاف", "إلغاء", "الغاء", "إلغاء الاشتراك", "الغاء الاشتراك"),
    }
)
_START: Final = frozenset({"start", "unstop", "ابدأ", "ابدا", "اشتراك"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How far a message came."""

    message_id: str
    status: Status
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Whoever has a number, in E.164, wants our messages, or no more."""

    number: str
    wants: bool


def signed_by_twilio(token: str, url: str, fields: Sequence[tuple[str, str]], signature: str) -> bool:
    """Whether Twilio signed a form.

    Args:
        url: the whole one that Twilio called, as it is known outside.
    """
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    expected = base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1))
    return hmac.compare_digest(expected, signature.encode())


def read_form(body: bytes) -> list[tuple[str, str]] | None:
    """The fields of a form; None if it is none, or has too many."""
    try:
        return parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MAX_FIELDS
        )
    except ValueError:
        return None


def read_any(body: bytes, content_type: str) -> dict[str, str] | None:
    """The fields of a form or of a JSON object, by their names in small letters; None if it is neither."""
    if "json" in content_type or body[:1] == b"{":
        try:
            found: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(found, dict) or len(found) > MAX_FIELDS:
            return None
        return {
            name.lower(): str(value) for name, value in found.items() if isinstance(value, str | int | float)
        }
    form = read_form(body)
    return None if form is None else {name.lower(): value for name, value in form}


def report_of(fields: Mapping[str, str]) -> Report | None:
    """The report that fields, by their names in small letters, are; None if they are none, or say nothing final."""
    message_id = next((fields[name] for name in _IDS if fields.get(name)), "")
    state = next((fields[name] for name in _STATES if fields.get(name)), "")
    status = _STATUSES.get(state.strip().lower())
    if not message_id or len(message_id) > 256 or status is None:
        return None
    error = next((fields[name] for name in _ERRORS if fields.get(name)), None)
    return Report(
        message_id=storable(message_id), status=status, error=None if error is None else storable(error, 500)
    )


def wish_of(fields: Mapping[str, str]) -> Wish | None:
    """What somebody who wrote to us wants, if it is that; fields as for ``report_of``."""
    word = re.sub(r"[^\w\s]", "", fields.get("optouttype") or fields.get("body", "")[:100])
    word = " ".join(word.split()).lower()
    if word not in _STOP and word not in _START:
        return None
    try:
        number = to_e164(fields.get("from", "")[:64])
    except OptionError:
        return None  # a short code, or a name: nobody we write to
    return Wish(number=number, wants=word in _START)
