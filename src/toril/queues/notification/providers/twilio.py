"""SMS by Twilio (https://twilio.com)."""

from __future__ import annotations

import re
from typing import Final

from toril.errors import (
    ConfigurationError,
    NotConfiguredError,
    TorilError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.notification.providers.base import NoRouteError, OptedOutError, SentSms, SmsMessage
from toril.queues.sync.http import VendorClient
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain, passing

_SETTINGS: Final = "TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and SMS_SENDER"

_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_SERVICE_SID = re.compile(r"MG[0-9a-fA-F]{32}")

#: Authentication, a region that is not enabled, and senders that cannot be used. Source: Twilio's list of errors.
_ACCOUNT: Final = (20003, 20404, 21212, 21408, 21603, 21606, 21659, 21660, 21701, 21703)
_NO_ROUTE: Final = (21612,)
_TOO_MANY: Final = (20429, 14107)
_STATUSES: Final = {"sent": "sent", "delivered": "delivered", "read": "delivered"}
_FAILED: Final = ("failed", "undelivered", "canceled")


class TwilioProvider:
    """Sends by Twilio.

    Args:
        account_sid, auth_token: of the account.
        sender: a number or a name of the account, or a messaging service (``MG…``), for messages that have none.
        status_callback: where Twilio tells what becomes of messages, by https.
    """

    name = "twilio"

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        sender: str | None = None,
        status_callback: str | None = None,
        base_url: str = "https://api.twilio.com",
    ) -> None:
        if not _ACCOUNT_SID.fullmatch(account_sid):
            raise ConfigurationError("TWILIO_ACCOUNT_SID must be AC and 32 hex digits")
        if not auth_token:
            raise ConfigurationError("TWILIO_AUTH_TOKEN is empty")
        self._credentials, self._sender = (account_sid, auth_token), sender
        self._callback = {} if status_callback is None else {"StatusCallback": status_callback}
        self._client = VendorClient("Twilio", base_url, read_timeout=15.0, total_timeout=20.0)

    async def send(self, message: SmsMessage) -> SentSms:
        """Hand ``message`` to Twilio; see ``SmsProvider.send``."""
        sender = message.sender or self._sender
        if not sender:
            raise NotConfiguredError("Twilio wants a sender: set SMS_SENDER, or give senderId")
        field = "MessagingServiceSid" if _SERVICE_SID.fullmatch(sender) else "From"
        answer = await self._client.request(
            "POST",
            f"/2010-04-01/Accounts/{self._credentials[0]}/Messages.json",
            operation="sending an SMS",
            repeatable=False,
            auth=self._credentials,
            form={"To": message.to, "Body": message.text, field: sender, **self._callback},
        )
        if not answer.is_success:
            raise _explain(answer)
        body = answer.object()
        status = str(body.get("status") or "queued")
        if status in _FAILED:
            raise UnrecoverableError(f"Twilio could not send the SMS: its status is {status}")
        message_id = body.get("sid")
        if not isinstance(message_id, str) or not message_id:
            raise UnknownOutcomeError(f"{answer} as success, but without a sid. Look it up there")
        return SentSms(message_id=message_id, status=_STATUSES.get(status, "queued"))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _explain(answer: VendorAnswer) -> TorilError:
    body = answer.json_or_none()
    code = body.get("code") if isinstance(body, dict) else None
    if code in _ACCOUNT:
        return NotConfiguredError(f"{answer}. Check {_SETTINGS}, and the account's regions")
    if code in _TOO_MANY:
        return passing(answer)
    if code == 21610:
        return OptedOutError(f"{answer}: this person has opted out of our messages")
    if code in _NO_ROUTE:
        return NoRouteError(f"{answer}: Twilio does not reach this number")
    return explain(answer, settings=_SETTINGS)
