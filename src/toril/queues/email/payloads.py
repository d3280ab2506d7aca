"""What a job of the e-mail queue carries, checked before anything is sent."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, WrapValidator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from toril.errors import OptionError
from toril.queues.base import Payload
from toril.queues.email.addresses import header_text_problem, parse_mailbox

MAX_RECIPIENTS = 50  #: addresses in each of to, cc and bcc
MAX_SUBJECT = 900  #: characters; RFC 5322 allows lines of 998
MAX_FILENAME = 255  #: bytes of UTF-8
MAX_ATTACHMENTS = 40 * 1024 * 1024  #: bytes of all attachments together, counted in base64 as they travel

_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"  # noqa: S105 - RFC 2045's word for a name
_CONTENT_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:\s*;\s*{_TOKEN}={_TOKEN})*")
_CONTENT_ID = re.compile(r"[A-Za-z0-9.!#$%&'*+=_@-]{1,128}")


def _problem(text: str) -> PydanticCustomError:
    # Passed as context: the message is a template, and the text may quote braces from the payload.
    return PydanticCustomError("email", "{text}", {"text": text})


def _at(field: str, text: str) -> ValidationError:
    """An error of one field, for a check that sees the whole model."""
    return ValidationError.from_exception_data(
        "email", [InitErrorDetails(type=_problem(text), loc=(field,), input=None)]
    )


def _address(text: str) -> str:
    try:
        parse_mailbox(text)
    except OptionError as error:
        raise _problem(str(error)) from error
    return text.strip()


_ADDRESS_LIST = TypeAdapter(
    Annotated[list[Annotated[str, AfterValidator(_address)]], Field(max_length=MAX_RECIPIENTS)]
)


def _one_or_many(value: Any, _: Any) -> str | list[str]:
    if isinstance(value, str):
        return _address(value)
    if not isinstance(value, list):
        raise _problem("should be an address or a list of addresses")
    return _ADDRESS_LIST.validate_python(value)


def _some(value: str | list[str]) -> str | list[str]:
    if not value:
        raise _problem("needs at least one address")
    return value


#: ``"a@b.example"``, ``"Name <a@b.example>"`` or a list of these; kept as given
Addresses = Annotated[str | list[str], WrapValidator(_one_or_many)]


def _header_text(text: str) -> str:
    text = text.replace("\t", " ")
    if problem := header_text_problem(text):
        raise _problem(problem)
    return text


def _filename(text: str) -> str:
    if not text or "/" in text or "\\" in text or text in (".", ".."):
        raise _problem(f"{text!r} is not a plain file name")
    if len(text.encode()) > MAX_FILENAME:
        raise _problem(f"is longer than {MAX_FILENAME} bytes")
    return _header_text(text)


def _content_type(text: str) -> str:
    if len(text) > 200 or not _CONTENT_TYPE.fullmatch(text):
        raise _problem(f"{text!r} is not a media type such as application/pdf")
    return text


def _content_id(text: str) -> str:
    bare = text.removeprefix("<").removesuffix(">")
    if not _CONTENT_ID.fullmatch(bare):
        raise _problem(f"{text!r} cannot be a content id; use letters, digits, dot, dash, underscore, @")
    return bare


def _base64(text: str) -> str:
    compact = "".join(text.split())
    try:
        base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _problem("is not base64") from error
    return compact


def _path(text: str) -> str:
    if not text:
        raise _problem("is empty")
    if "://" in text:
        raise _problem("is a URL; give the path of a stored file, nothing is fetched from the network")
    if "\0" in text:
        raise _problem("has a NUL character")
    return text


class Attachment(Payload):
    """A file that goes with the mail; with ``content_id`` it can be shown inside the HTML as ``cid:…``."""

    filename: Annotated[str, AfterValidator(_filename)]
    content: Annotated[str, AfterValidator(_base64)] | None = None  #: base64
    path: Annotated[str, AfterValidator(_path)] | None = None  #: of a file in the file store
    content_type: Annotated[str, AfterValidator(_content_type)] | None = None  #: else told by the name
    content_id: Annotated[str, AfterValidator(_content_id)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Attachment:
        if self.content is None and self.path is None:
            raise _at("content", "either content or path is needed")
        if self.content is not None and self.path is not None:
            raise _at("path", "content is given too; one of them is enough")
        return self


class Tag(Payload):
    """A label the provider reports back in its events."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,256}$")]
    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,256}$")]


class Transactional(Payload):
    """One mail to one or a few people, as a job of the type ``transactional`` carries it."""

    to: Annotated[Addresses, AfterValidator(_some)]
    subject: Annotated[str, Field(min_length=1, max_length=MAX_SUBJECT), AfterValidator(_header_text)]
    html: str | None = None
    text: str | None = None  #: made from ``html`` when absent
    reply_to: Addresses | None = None
    cc: Addresses | None = None
    bcc: Addresses | None = None
    attachments: list[Attachment] | None = None
    tags: list[Tag] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Transactional:
        if not self.html and not self.text:
            raise _at("html", "either html or text is needed")
        attached = self.attachments or []
        size = sum(len(attachment.content or "") for attachment in attached)
        if size > MAX_ATTACHMENTS:
            raise _at("attachments", too_large(size))
        ids = [attachment.content_id for attachment in attached if attachment.content_id]
        if len(ids) != len(set(ids)):
            raise _at("attachments", "two of them have the same contentId")
        return self


def too_large(size: int) -> str:
    """What is wrong with attachments of ``size`` bytes in base64."""
    return f"{size / 1048576:.1f} MB in base64; the limit for all of them together is 40 MB"
