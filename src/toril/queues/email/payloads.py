"""What a job of the e-mail queue carries, checked before anything is sent: one model a type."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr, StringConstraints, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from toril.queues.base import Payload
from toril.queues.email.fields import (
    Address,
    Addresses,
    Base64,
    Body,
    ContentId,
    ContentType,
    Filename,
    FirmId,
    HeaderText,
    SomeAddresses,
    StoredPath,
    Subject,
    problem,
    problem_at,
)
from toril.queues.email.placeholders import placeholders
from toril.queues.email.template_data import TEMPLATES, TemplateData, template_name

MAX_ATTACHMENTS = 40 * 1024 * 1024  #: bytes of all attachments together, counted in base64 as they travel
MAX_FILES = 100  #: attachments of one mail
MAX_TAGS = 75  #: tags of one mail
MAX_BULK = 10_000  #: recipients of one bulk job
MAX_VALUE = 10_000  #: characters of one value of a placeholder


class Attachment(Payload):
    """A file that goes with the mail; with ``content_id`` it can be shown inside the HTML as ``cid:…``."""

    filename: Filename
    content: Base64 | None = None
    path: StoredPath | None = None  #: of a file in the file store
    content_type: ContentType | None = None  #: else told by the name
    content_id: ContentId | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Attachment:
        if self.content is None and self.path is None:
            raise problem_at("either content or path is needed", "content")
        if self.content is not None and self.path is not None:
            raise problem_at("content is given too; one of them is enough", "path")
        return self


class Tag(Payload):
    """A label the provider reports back in its events."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,256}$")]
    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,256}$")]


class SingleMail(Payload):
    """What one mail to one or a few people has, whatever its text is made from."""

    to: SomeAddresses
    reply_to: Addresses | None = None
    cc: Addresses | None = None
    bcc: Addresses | None = None
    attachments: Annotated[list[Attachment], Field(max_length=MAX_FILES)] | None = None
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] | None = None
    firm_id: FirmId | None = None  #: whose mail it is, and whose stored files may go with it

    @model_validator(mode="after")
    def _carried(self) -> SingleMail:
        attached = self.attachments or []
        size = sum(len(attachment.content or "") for attachment in attached)
        if size > MAX_ATTACHMENTS:
            raise problem_at(too_large(size), "attachments")
        ids = [attachment.content_id for attachment in attached if attachment.content_id]
        if len(ids) != len(set(ids)):
            raise problem_at("two of them have the same contentId", "attachments")
        return self


class Transactional(SingleMail):
    """One mail to one or a few people."""

    subject: Subject
    html: Body | None = None
    text: Body | None = None  #: made from ``html`` when absent
    sensitive: bool = False  #: with a code or a link that opens an account: shown to nobody, and not kept

    @model_validator(mode="after")
    def _whole(self) -> Transactional:
        if not self.html and not self.text:
            raise problem_at("either html or text is needed", "html")
        return self


class TemplateMail(SingleMail):
    """One mail from a template."""

    template_id: Annotated[str, StringConstraints(max_length=64)]
    template_data: dict[str, Any]
    subject: Subject | None = None  #: instead of the template's own
    _data: TemplateData | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _fitting(self) -> TemplateMail:
        model = TEMPLATES.get(template_name(self.template_id))
        if model is None:
            known = ", ".join(TEMPLATES)
            raise problem_at(f"there is no template {self.template_id!r}; there are {known}", "templateId")
        try:
            self._data = model.model_validate(self.template_data)
        except ValidationError as error:
            raise _below("templateData", error) from None
        return self

    @property
    def data(self) -> TemplateData:
        """The template's variables, checked."""
        assert self._data is not None
        return self._data


_HALVES = re.compile("[\ud800-\udfff]")
Scalar = str | int | float | bool | None


def _readable(value: Any) -> Any:
    # JavaScript cuts a text in the middle of a character; half of one can be sent to nobody.
    return _HALVES.sub("\ufffd", value) if isinstance(value, str) else value


def _scalar(value: Any) -> Any:
    value = _readable(value)
    if not isinstance(value, Scalar) or len(str(value)) > MAX_VALUE:
        raise problem(f"should be a number, true or false, or a text of at most {MAX_VALUE:,} characters")
    return value


class BulkRecipient(Payload, extra="allow"):
    """One of many: an address, and values for the placeholders.

    The address is checked when its turn comes, so that a bad one does not stop the others; nor does a name that
    cannot stand beside it.
    """

    __pydantic_extra__: dict[str, Annotated[Scalar, BeforeValidator(_scalar)]]
    email: Annotated[str, BeforeValidator(_readable)]
    name: Annotated[str | None, BeforeValidator(_readable)] = None

    @property
    def values(self) -> dict[str, str]:
        """What its placeholders stand for; null is no value."""
        given = {"email": self.email, "name": self.name, **self.__pydantic_extra__}
        return {key: _as_text(value) for key, value in given.items() if value is not None}


class Bulk(Payload):
    """The same mail to many, each with its own values in place of ``{{name}}`` and the like."""

    recipients: Annotated[list[BulkRecipient], Field(min_length=1, max_length=MAX_BULK, fail_fast=True)]
    subject: Subject
    html: Annotated[Body, Field(min_length=1)]
    text: Body | None = None  #: made from each mail's HTML when absent
    firm_id: FirmId | None = None  #: whose mail it is

    @model_validator(mode="after")
    def _answerable(self) -> Bulk:
        # A name that nobody has a value for is a slip of the pen: find it now, and not in ten thousand mails.
        known = {"unsubscribe_url"}.union(*(recipient.values for recipient in self.recipients))
        for field in ("subject", "html", "text"):
            for name in placeholders(getattr(self, field) or ""):
                if name not in known:
                    raise problem_at(f"no recipient has a value for {{{{{name}}}}}", field)
        return self


class CampaignRecipient(Payload):
    """Who gets a campaign's mail."""

    email: Address
    name: Annotated[str, StringConstraints(max_length=200), HeaderText] | None = None


class Campaign(Payload):
    """A campaign's mail to one recipient, whose links and opening are tracked."""

    campaign_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
    recipient: CampaignRecipient
    subject: Subject
    html: Annotated[Body, Field(min_length=1)]
    tracking_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]
    firm_id: FirmId | None = None  #: whose mail it is; else the campaign's record tells


def too_large(size: int) -> str:
    """What is wrong with attachments of ``size`` bytes in base64."""
    return f"{size / 1048576:.1f} MB in base64; the limit for all of them together is 40 MB"


def _as_text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _below(field: str, error: ValidationError) -> ValidationError:
    """The same problems, one level down."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return ValidationError.from_exception_data(
        error.title,
        [InitErrorDetails(type=problem(one["msg"]), loc=(field, *one["loc"]), input=None) for one in found],
    )
