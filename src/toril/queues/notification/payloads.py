"""What a job of the notification queue carries, checked before anything is sent: one model a type."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from toril.queues.base import Payload
from toril.queues.notification.fields import (
    AuthSecret,
    FirmId,
    Headers,
    JsonBody,
    JsonObject,
    Link,
    Metadata,
    Phone,
    PublicPoint,
    Sender,
    Text,
    Title,
    UserId,
    WebUrl,
    json_size,
    problem_at,
)

#: Bytes of a push's JSON: what is encrypted in one record of 4096 bytes. Source: RFC 8291, 4: 4096 less 86 of header,
#: 1 of padding and 16 of tag.
MAX_PUSH: Final = 3993
#: Seconds a push service keeps a message for a browser that is away; services go no further than four weeks.
DAY: Final = 86_400
#: Characters of a push's tag; see ``PushMessage.encode``.
TAG_LENGTH: Final = 32

MAX_USERS: Final = 10_000
MAX_WEBHOOK: Final = 256 * 1024  #: bytes of JSON
MAX_SMS: Final = 1600  #: characters; the most that a service takes

Urgency = Literal["very-low", "low", "normal", "high"]


class SubscriptionKeys(Payload):
    """The browser's keys, in base64url as it gives them."""

    p256dh: Annotated[PublicPoint, Field(alias="p256dh")]  #: camel case would write it another way
    auth: AuthSecret


class Subscription(Payload):
    """Where a browser takes pushes: its ``PushSubscription`` as JSON."""

    endpoint: WebUrl
    keys: SubscriptionKeys
    expiration_time: float | None = None  #: not regarded; the push service says when it is over


class PushMessage(Payload):
    """What a push shows, the same for one browser and for many."""

    title: Title
    body: Text
    icon: Link = "/icon.png"
    badge: Link = "/badge.png"
    data: JsonObject | None = None
    ttl: Annotated[int, Field(ge=0, le=28 * DAY)] = DAY  #: seconds
    urgency: Urgency = "normal"

    def encode(self, tag: str) -> bytes:
        """The JSON that the browser's service worker gets.

        Args:
            tag: a later notification with the same one replaces this; ``TAG_LENGTH`` characters.
        """
        shown = {"title": self.title, "body": self.body, "icon": self.icon, "badge": self.badge, "tag": tag}
        return orjson.dumps(shown if self.data is None else {**shown, "data": self.data})

    @model_validator(mode="after")
    def _fits(self) -> PushMessage:
        json_size(self.data)
        size = len(self.encode("x" * TAG_LENGTH))
        if size > MAX_PUSH:
            largest = max(
                ("title", "body", "icon", "badge", "data"), key=lambda name: json_size(getattr(self, name))
            )
            raise problem_at(
                f"is the largest part of a message of {size:,} bytes of JSON; push services take {MAX_PUSH:,}. Send "
                "less, and a link to the rest",
                largest,
            )
        return self


class Push(PushMessage):
    """A push to one browser, as a job of the type ``push`` carries it; without ``subscription`` to all browsers that
    the user registered."""

    user_id: UserId
    subscription: Subscription | None = None
    firm_id: FirmId | None = None  #: the user must be one of this firm


class PushUser(Payload):
    """One user of a ``bulk-push``: one browser of theirs, or without ``subscription`` all that they registered. One who
    has none, or comes with a subscription that is none, is counted as failed."""

    user_id: UserId
    subscription: Subscription | None = None
    _problem: str | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _one_bad_does_not_stop_the_others(
        cls, value: Any, handler: ModelWrapValidatorHandler[PushUser]
    ) -> PushUser:
        try:
            return handler(value)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            if any(one["loc"][:1] != ("subscription",) or len(one["loc"]) == 1 for one in found):
                raise  # wrong in itself, and not for what some browser once gave
        user = handler({**value, "subscription": None})
        user._problem = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
        return user

    @property
    def problem(self) -> str | None:
        """What is wrong with the subscription that was given."""
        return self._problem

    @property
    def is_all_browsers(self) -> bool:
        """Whether all browsers are meant that the user registered."""
        return self.subscription is None and self._problem is None


class BulkPush(PushMessage):
    """The same push to many users, as a job of the type ``bulk-push`` carries it."""

    users: Annotated[list[PushUser], Field(min_length=1, max_length=MAX_USERS, fail_fast=True)]
    firm_id: FirmId | None = None  #: users of another firm get nothing


class InApp(Payload):
    """A notification inside the application, as a job of the type ``in-app`` carries it."""

    user_id: UserId
    title: Title
    message: Text
    type: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = "info"
    link: Link | None = None
    metadata: Metadata | None = None
    firm_id: FirmId | None = None


class Sms(Payload):
    """One SMS, as a job of the type ``sms`` carries it. The number becomes E.164."""

    phone_number: Phone
    message: Annotated[Text, Field(max_length=MAX_SMS)]
    sender_id: Sender | None = None


class Webhook(Payload):
    """One call of somebody's webhook, as a job of the type ``webhook`` carries it."""

    webhook_url: WebUrl
    payload: JsonBody
    headers: Headers | None = None

    @model_validator(mode="after")
    def _fits(self) -> Webhook:
        if (size := json_size(self.payload)) > MAX_WEBHOOK:
            raise problem_at(f"has {size:,} bytes of JSON; {MAX_WEBHOOK:,} are allowed", "payload")
        return self
