"""The kinds of values in a notification job's payload: people, texts, links, headers, keys of browsers.

Each is an annotated type: what an application sends goes in, a clean value comes out, and what cannot be meant is
refused with a message that says what is expected.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, Field, StringConstraints, ValidationError, WrapValidator
from pydantic_core import InitErrorDetails, PydanticCustomError

from toril.db.ids import is_id
from toril.errors import OptionError
from toril.queues.notification.phones import to_e164
from toril.queues.ssrf import MAX_URL, BlockedAddressError, Guard
from toril.queues.texts import without_control_characters

MAX_HEADERS: Final = 20
MAX_METADATA: Final = 16 * 1024  #: bytes of JSON

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\x80-\xff]{0,4096}")
_OURS: Final = {
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
}
_OUR_PREFIXES: Final = ("proxy-", "webhook-", "x-webhook-")
#: What a sender may be called: a name of up to 11 characters, or a number.
_SENDER = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}|\+?[0-9]{3,15}")

#: Reads any URL that a request could go to; where it may go is for the queue's own guard to say.
_ANY_URL: Final = Guard.for_development("0.0.0.0/0", "::/0")


def problem(text: str) -> PydanticCustomError:
    """An error of the value that is being checked."""
    # Passed as context: the message is a template, and the text may quote braces from the payload.
    return PydanticCustomError("notification", "{text}", {"text": text})


def problem_at(text: str, *path: str | int) -> ValidationError:
    """An error of the field at ``path``, for a check that sees the whole model."""
    return ValidationError.from_exception_data(
        "notification", [InitErrorDetails(type=problem(text), loc=path, input=None)]
    )


def _user_id(text: str) -> str:
    if not text.isprintable() or any(char.isspace() for char in text):
        raise problem("has a space or a control character; ids have none")
    return text


def _firm_id(text: str) -> str:
    if not is_id(text.lower()):
        raise problem("is not the id of a firm: those have 24 hex digits")
    return text.lower()


def _line(text: str) -> str:
    return " ".join(without_control_characters(text).split())


def _something(text: str) -> str:
    if not text.strip():
        raise problem("has nothing in it that can be shown")
    return text


def _link(text: str) -> str:
    # A browser takes \ for / and drops what is not printable, so that javascript: could hide.
    usable = text.isprintable() and " " not in text and "\\" not in text and not text.startswith("//")
    try:
        usable = usable and urlsplit(text).scheme in ("", "http", "https")
    except ValueError:
        usable = False
    if not usable:
        raise problem(
            "should be a link that begins with https://, or a path of the application such as /cases/1"
        )
    return text


def _web_url(text: str) -> str:
    try:
        _ANY_URL.parse(text)
    except BlockedAddressError as error:
        raise problem(str(error)) from None
    return text


def _headers(headers: dict[str, str]) -> dict[str, str]:
    seen = set()
    for name, value in headers.items():
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name):
            raise problem(f"{name[:100]!r} is not a header's name")
        if lower in _OURS or lower.startswith(_OUR_PREFIXES):
            raise problem(f"the header {name} is not for jobs to set")
        if lower in seen:
            raise problem(f"the header {name} is given twice")
        if not _HEADER_VALUE.fullmatch(value):
            raise problem(f"the header {name} must be up to 4096 characters of Latin letters on one line")
        seen.add(lower)
    return headers


def _phone(text: str) -> str:
    try:
        return to_e164(text)
    except OptionError as error:
        raise problem(str(error)) from None


def _sender(text: str) -> str:
    if not _SENDER.fullmatch(text):
        raise problem(
            "should be 1 to 11 letters, digits and spaces with a letter among them, or a phone number"
        )
    return text


def _object(value: Any, _: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise problem("should be an object")
    return value


def _object_or_list(value: Any, _: Any) -> dict[str, Any] | list[Any]:
    if not isinstance(value, dict | list):
        raise problem("should be an object or a list")
    return value


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    if (size := json_size(value)) > MAX_METADATA:
        raise problem(f"has {size:,} bytes of JSON; {MAX_METADATA:,} are allowed")
    return value


def _public_point(text: str) -> str:
    if len(key := _base64url(text)) != 65 or key[0] != 4:
        raise problem("is not a browser's public key: 65 bytes in base64url, the first of them 4")
    return text


def _auth_secret(text: str) -> str:
    if len(_base64url(text)) != 16:
        raise problem("is not a browser's secret: 16 bytes in base64url")
    return text


def _base64url(text: str) -> bytes:
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise problem("is not base64url") from None


def json_size(value: Any) -> int:
    """Bytes of ``value`` as JSON.

    Raises:
        PydanticCustomError: it cannot be written as JSON.
    """
    try:
        return len(orjson.dumps(value))
    except (TypeError, orjson.JSONEncodeError) as error:
        raise problem(f"is not JSON: {error}") from None


UserId = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_user_id)]
FirmId = Annotated[str, AfterValidator(_firm_id)]
Title = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(_line), AfterValidator(_something)
]
Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=5000),
    AfterValidator(without_control_characters),
    AfterValidator(_something),
]
Link = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL), AfterValidator(_link)]
WebUrl = Annotated[str, StringConstraints(min_length=1), AfterValidator(_web_url)]
Headers = Annotated[dict[str, str], Field(max_length=MAX_HEADERS), AfterValidator(_headers)]
Phone = Annotated[str, Field(max_length=64), AfterValidator(_phone)]  #: becomes E.164
Sender = Annotated[str, AfterValidator(_sender)]
#: JSON that is passed on as it is
JsonObject = Annotated[dict[str, Any], WrapValidator(_object)]
JsonBody = Annotated[dict[str, Any] | list[Any], WrapValidator(_object_or_list)]
Metadata = Annotated[JsonObject, AfterValidator(_metadata)]
PublicPoint = Annotated[str, StringConstraints(max_length=128), AfterValidator(_public_point)]
AuthSecret = Annotated[str, StringConstraints(max_length=64), AfterValidator(_auth_secret)]
