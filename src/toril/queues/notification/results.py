"""What jobs of the ``notification`` queue return."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class PushResult(TypedDict):
    """Of ``push``. ``browsers``: how many of the user's took it, where the job names none. For a subscription that is
    over ``success`` is false, ``expired`` true, and ``error`` says so, as it does of a user without one."""

    success: bool
    userId: str
    title: str
    browsers: NotRequired[int]
    expired: NotRequired[bool]
    error: NotRequired[str]


class InAppResult(TypedDict):
    """Of ``in-app``; ``emitted``: the event was sent to those who are connected."""

    success: bool
    userId: str
    notificationId: str
    emitted: bool


class SmsResult(TypedDict):
    """Of ``sms``; the number in E.164, the status ``queued``, ``sent``, ``delivered``, or ``stored`` by ``log``;
    without success ``opted-out``: whoever has the number wants no messages."""

    success: bool
    phoneNumber: str
    messageId: str | None
    provider: str
    status: str
    segments: int


class WebhookResult(TypedDict):
    """Of ``webhook``; the response as JSON if it is that, else the beginning of its text."""

    success: bool
    webhookUrl: str
    statusCode: int
    response: Any


class BulkPushRow(TypedDict):
    """What came of one user's push; ``browsers``: how many of the user's took it, where the job names none."""

    userId: str
    success: bool
    browsers: NotRequired[int]
    error: NotRequired[str | None]
    expired: NotRequired[bool]


class BulkPushResult(TypedDict):
    """Of ``bulk-push``: a result for each user, in their order; ``success`` when at least one was sent."""

    success: bool
    total: int
    successCount: int
    failedCount: int
    results: list[BulkPushRow]
