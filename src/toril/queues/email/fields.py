"""The kinds of values in an e-mail job's payload: addresses, header lines, links, files, days.

Each is an annotated type: what an application sends goes in, a clean value comes out, and what cannot be meant
is refused with a message that says what is expected.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WrapValidator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from toril.db.ids import is_id
from toril.errors import OptionError
from toril.queues.email.addresses import header_text_problem, parse_mailbox
from toril.queues.texts import without_control_characters

MAX_RECIPIENTS = 50  #: addresses in each of to, cc and bcc
MAX_SUBJECT = 900  #: characters; RFC 5322 allows lines of 998
MAX_BODY = 4_000_000  #: characters of one HTML or text body; mail programs cut far shorter ones
MAX_FILENAME = 255  #: bytes of UTF-8
MAX_URL = 2048  #: characters; what all mail programs and browsers open

_D = TypeVar("_D", date, datetime)

_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"  # noqa: S105 - RFC 2045's word for a name
_CONTENT_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:\s*;\s*{_TOKEN}={_TOKEN})*")
_CONTENT_ID = re.compile(r"[A-Za-z0-9.!#$%&'*+=_@-]{1,128}")


def problem(text: str) -> PydanticCustomError:
    """An error of the value that is being checked."""
    # Passed as context: the message is a template, and the text may quote braces from the payload.
    return PydanticCustomError("email", "{text}", {"text": text})


def problem_at(text: str, *path: str | int) -> ValidationError:
    """An error of the field at ``path``, for a check that sees the whole model."""
    return ValidationError.from_exception_data(
        "email", [InitErrorDetails(type=problem(text), loc=path, input=None)]
    )


def _address(text: str) -> str:
    try:
        parse_mailbox(text)
    except OptionError as error:
        raise problem(str(error)) from error
    return text.strip()


_ADDRESS_LIST = TypeAdapter(
    Annotated[list[Annotated[str, AfterValidator(_address)]], Field(max_length=MAX_RECIPIENTS)]
)


def _one_or_many(value: Any, _: Any) -> str | list[str]:
    if isinstance(value, str):
        return _address(value)
    if not isinstance(value, list):
        raise problem("should be an address or a list of addresses")
    return _ADDRESS_LIST.validate_python(value)


def _some(value: str | list[str]) -> str | list[str]:
    if not value:
        raise problem("needs at least one address")
    return value


def _firm_id(text: str) -> str:
    if not is_id(text.lower()):
        raise problem("is not the id of a firm: those have 24 hex digits")
    return text.lower()


def _header_text(text: str) -> str:
    text = text.replace("\t", " ")
    if found := header_text_problem(text):
        raise problem(found)
    return text


def _filename(text: str) -> str:
    if not text or "/" in text or "\\" in text or text in (".", ".."):
        raise problem(f"{text!r} is not a plain file name")
    if len(text.encode()) > MAX_FILENAME:
        raise problem(f"is longer than {MAX_FILENAME} bytes")
    return _header_text(text)


def _content_type(text: str) -> str:
    if len(text) > 200 or not _CONTENT_TYPE.fullmatch(text):
        raise problem(f"{text!r} is not a media type such as application/pdf")
    return text


def _content_id(text: str) -> str:
    bare = text.removeprefix("<").removesuffix(">")
    if not _CONTENT_ID.fullmatch(bare):
        raise problem(f"{text!r} cannot be a content id; use letters, digits, dot, dash, underscore, @")
    return bare


def _base64(text: str) -> str:
    compact = "".join(text.split())
    try:
        base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError) as error:
        raise problem("is not base64") from error
    return compact


def _path(text: str) -> str:
    if not text:
        raise problem("is empty")
    if "://" in text and not text.startswith("s3://"):  # what stored files have as their path in a bucket
        raise problem("is a URL; give the path of a stored file, nothing is fetched from the network")
    if "\0" in text:
        raise problem("has a NUL character")
    return text


def _web_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise problem("should be a link that begins with https:// or http://")
    return text


def _moment(value: Any) -> Any:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _in_our_time(datetime.fromtimestamp(value / 1000, UTC))
        if isinstance(value, str):
            return _in_our_time(datetime.fromisoformat(value.strip()))
        if isinstance(value, datetime):
            return value
    except (ValueError, OverflowError, OSError):
        pass
    raise problem(
        f"{value!r} is not a time such as 2026-03-01T16:30:00+03:00, or milliseconds since 1970, in this century"
    )


def _day(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return _in_our_time(date.fromisoformat(value.strip()))
        except ValueError:
            pass
    try:
        return _moment(value)
    except PydanticCustomError:
        raise problem(
            f"{value!r} is not a day such as 2026-03-01, a time, or milliseconds since 1970, in this century"
        ) from None


def _in_our_time(value: _D) -> _D:
    if not 2000 <= value.year < 2100:  # most likely seconds where milliseconds are meant
        raise ValueError(value)
    return value


def _amount(value: Any) -> Any:
    # str() of a float is the shortest text that means it, so that 0.1 stays 0.1.
    return str(value) if isinstance(value, float) else value


#: ``"a@b.example"``, ``"Name <a@b.example>"`` or a list of these; kept as given
Addresses = Annotated[str | list[str], WrapValidator(_one_or_many)]
SomeAddresses = Annotated[Addresses, AfterValidator(_some)]
Address = Annotated[str, AfterValidator(_address)]

#: one line that may stand in a header
HeaderText = AfterValidator(_header_text)
Subject = Annotated[str, Field(min_length=1, max_length=MAX_SUBJECT), HeaderText]
Body = Annotated[str, Field(max_length=MAX_BODY)]

Filename = Annotated[str, AfterValidator(_filename)]
ContentType = Annotated[str, AfterValidator(_content_type)]
ContentId = Annotated[str, AfterValidator(_content_id)]
Base64 = Annotated[str, AfterValidator(_base64)]
StoredPath = Annotated[str, AfterValidator(_path)]

FirmId = Annotated[str, AfterValidator(_firm_id)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), HeaderText]
Line = Annotated[str, StringConstraints(min_length=1, max_length=500), HeaderText]
LongText = Annotated[
    str, StringConstraints(min_length=1, max_length=5000), AfterValidator(without_control_characters)
]
WebUrl = Annotated[str, StringConstraints(max_length=MAX_URL), AfterValidator(_web_url)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[Decimal, BeforeValidator(_amount), Field(ge=0, lt=10**12, allow_inf_nan=False)]
Moment = Annotated[datetime, BeforeValidator(_moment)]  #: without a zone, it is in the queue's
#: a day, or a moment that is shown as its day in the queue's zone
Day = Annotated[date | datetime, BeforeValidator(_day)]
