"""SMS by Unifonic (https://unifonic.com)."""

from __future__ import annotations

from typing import Any, Final

from toril.errors import (
    ConfigurationError,
    NotConfiguredError,
    TorilError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.notification.providers.base import NoRouteError, SentSms, SmsMessage
from toril.queues.sync.http import VendorClient
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain

_SETTINGS: Final = "UNIFONIC_APP_SID and SMS_SENDER"

#: What an ``errorCode`` means. A refusal comes with HTTP 200.
_REASONS: Final = {
    "ER-01": "the account has no credit or no rate for this number",
    "ER-02": "the number is not one",
    "ER-03": "the number is too long",
    "ER-04": "the number is too short",
    "ER-05": "there is no route to this number",
    "ER-06": "the text is empty",
    "ER-07": "the text was filtered",
    "ER-08": "the sender is not registered",
    "ER-09": "it repeats a recent message to this number, which has probably arrived",
}
_ACCOUNT: Final = ("ER-01", "ER-08")
_STATUSES: Final = {"queued": "queued", "sent": "sent"}


class UnifonicProvider:
    """Sends by Unifonic.

    Args:
        app_sid: of the application in Unifonic's console.
        sender: a registered name; None is the account's own.
    """

    name = "unifonic"

    def __init__(
        self, app_sid: str, *, sender: str | None = None, base_url: str = "https://el.cloud.unifonic.com"
    ) -> None:
        if not app_sid:
            raise ConfigurationError("UNIFONIC_APP_SID is empty")
        self._app_sid, self._sender = app_sid, sender
        self._client = VendorClient("Unifonic", base_url, read_timeout=15.0, total_timeout=20.0)

    async def send(self, message: SmsMessage) -> SentSms:
        """Hand ``message`` to Unifonic; see ``SmsProvider.send``."""
        form = {
            "AppSid": self._app_sid,
            "Recipient": message.to.removeprefix("+"),
            "Body": message.text,
            "responseType": "JSON",
            "CorrelationID": message.reference,
            "baseEncode": "true",
            "async": "false",
        }
        if sender := message.sender or self._sender:
            form["SenderID"] = sender
        answer = await self._client.request(
            "POST",
            "/rest/SMS/messages",
            operation="sending an SMS",
            repeatable=False,
            form=form,
            secrets=(self._app_sid,),
        )
        if not answer.is_success:
            raise explain(answer, settings=_SETTINGS)
        body = answer.object()
        code = str(body.get("errorCode") or "")
        # Seen as a text, too.
        if str(body.get("success")).lower() != "true" or code not in ("", "ER-00"):
            raise _refusal(answer, code)
        return _sent(answer, body.get("data"))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _refusal(answer: VendorAnswer, code: str) -> TorilError:
    reason = _REASONS.get(code, answer.said() or "without a reason")
    text = f"Unifonic refused the SMS ({answer.show(code) or 'no code'}): {reason}"
    if code in _ACCOUNT:
        return NotConfiguredError(f"{text}. Check {_SETTINGS}, and the account")
    return NoRouteError(text) if code == "ER-05" else UnrecoverableError(text)


def _sent(answer: VendorAnswer, data: Any) -> SentSms:
    found = data if isinstance(data, dict) else {}
    status = str(found.get("Status") or "queued").lower()
    if status in ("rejected", "failed"):
        raise UnrecoverableError(f"Unifonic could not send the SMS: its status is {status}")
    message_id = found.get("MessageID")
    if not isinstance(message_id, int | str) or isinstance(message_id, bool) or not str(message_id):
        raise UnknownOutcomeError(f"{answer} as success, but without a MessageID. Look it up there")
    return SentSms(message_id=str(message_id), status=_STATUSES.get(status, "queued"))
