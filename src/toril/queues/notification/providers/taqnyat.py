"""SMS by Taqnyat (https://taqnyat.sa)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from toril.errors import (
    ConfigurationError,
    NotConfiguredError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.notification.phones import masked
from toril.queues.notification.providers.base import SentSms, SmsMessage
from toril.queues.sync.http import VendorClient
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain

_SETTINGS: Final = "TAQNYAT_TOKEN and SMS_SENDER"


class TaqnyatProvider:
    """Sends by Taqnyat.

    Args:
        token: of an application in Taqnyat's portal.
        sender: a registered name, for messages that have none.
    """

    name = "taqnyat"

    def __init__(
        self, token: str, *, sender: str | None = None, base_url: str = "https://api.taqnyat.sa"
    ) -> None:
        if not token:
            raise ConfigurationError("TAQNYAT_TOKEN is empty")
        self._token, self._sender = token, sender
        self._client = VendorClient("Taqnyat", base_url, read_timeout=15.0, total_timeout=20.0)

    async def send(self, message: SmsMessage) -> SentSms:
        """Hand ``message`` to Taqnyat; see ``SmsProvider.send``."""
        sender = message.sender or self._sender
        if not sender:
            raise NotConfiguredError("Taqnyat wants a sender: set SMS_SENDER, or give senderId")
        number = message.to.removeprefix("+")
        answer = await self._client.request(
            "POST",
            "/v1/messages",
            operation="sending an SMS",
            repeatable=False,
            secret_headers={"Authorization": f"Bearer {self._token}"},
            json={"recipients": [number], "body": message.text, "sender": sender},
        )
        status = _status(answer)
        if status == 402:
            raise NotConfiguredError(f"{answer}: the account has no credit")
        if not 200 <= status < 300:
            raise explain(replace(answer, status=status), settings=_SETTINGS)
        body = answer.object()
        if number in _numbers(body.get("rejected")):
            raise UnrecoverableError(f"Taqnyat rejected the number {masked(number)}")
        message_id = body.get("messageId")
        if status != 201 or not isinstance(message_id, int | str) or isinstance(message_id, bool):
            raise UnknownOutcomeError(f"{answer} as success, but without a messageId. Look it up there")
        return SentSms(message_id=str(message_id), status="queued")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _status(answer: VendorAnswer) -> int:
    """What the body says, which may contradict HTTP's status; success only if neither says otherwise."""
    body = answer.json_or_none()
    said = body.get("statusCode") if isinstance(body, dict) else None
    if answer.is_success and isinstance(said, int) and not isinstance(said, bool) and 100 <= said < 600:
        return said
    return answer.status


def _numbers(listed: Any) -> set[str]:
    """The numbers in a list, which comes as a text such as ``[966512345678,]``."""
    return set(re.findall(r"[0-9]+", str(listed or "")))
