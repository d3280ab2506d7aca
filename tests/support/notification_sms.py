"""SMS providers on this machine, which answer as their documentation says."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from toril.testing.vendors.server import Reply, VendorRequest

APP_SID, TOKEN = "unifonic-app-sid-1", "taqnyat-token-1"
ACCOUNT_SID, AUTH_TOKEN = "AC" + "0123456789abcdef" * 2, "twilio-auth-token-1"
SENDER = "LAWFIRM"


@dataclass
class SmsServer:
    """What all of them do.

    Attributes:
        sent: the messages that go out: number, text, sender.
        say: an answer instead of the usual one, for a message that is taken up to there.
    """

    sent: list[tuple[str, str, str | None]] = field(default_factory=list)
    say: Reply | None = None

    def answer(self, request: VendorRequest) -> Reply:
        raise NotImplementedError

    def _take(self, number: str, text: str, sender: str | None, usual: Reply) -> Reply:
        if self.say is not None:
            return self.say
        self.sent.append((number, text, sender))
        return usual


def _form(request: VendorRequest) -> dict[str, str]:
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    return {name: values[0] for name, values in parse_qs(request.body.decode(), True).items()}


class Unifonic(SmsServer):
    """Refusals come with HTTP 200; ids are large numbers."""

    @staticmethod
    def refusal(code: str, message: str = "because") -> Reply:
        return Reply(200, {"success": False, "message": message, "errorCode": code, "data": {}})

    def answer(self, request: VendorRequest) -> Reply:
        if (request.method, request.path) != ("POST", "/rest/SMS/messages"):
            return Reply(404, b"<html>not found</html>")
        form = _form(request)
        if form.get("AppSid") != APP_SID:
            return Reply(401, {"success": False, "message": "Authentication failed", "errorCode": "401"})
        if not re.fullmatch(r"[1-9][0-9]{7,14}", form.get("Recipient", "")):
            return self.refusal("ER-02")
        data: dict[str, Any] = {
            "MessageID": 43000999000111,
            "CorrelationID": form["CorrelationID"],
            "Status": "Queued",
            "NumberOfUnits": 1,
            "Recipient": form["Recipient"],
        }
        usual = Reply(200, {"success": True, "message": "", "errorCode": "ER-00", "data": data})
        return self._take(form["Recipient"], form["Body"], form.get("SenderID"), usual)


class Taqnyat(SmsServer):
    """The body's ``statusCode`` counts; lists come as texts."""

    def answer(self, request: VendorRequest) -> Reply:
        if (request.method, request.path) != ("POST", "/v1/messages"):
            return Reply(404, {"statusCode": 404, "message": "not found"})
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401, {"statusCode": 401, "message": "Unauthenticated"})
        body = request.json
        [number] = body["recipients"]
        if not body.get("sender") or not re.fullmatch(r"[1-9][0-9]{7,14}", number):
            return Reply(400, {"statusCode": 400, "message": "validation"})
        usual = Reply(
            201,
            {
                "statusCode": 201,
                "messageId": 7001122,
                "cost": 0.05,
                "currency": "SAR",
                "totalCount": 1,
                "msgLength": 1,
                "accepted": f"[{number},]",
                "rejected": "[]",
            },
        )
        return self._take(number, body["body"], body["sender"], usual)


class Twilio(SmsServer):
    """Numbers have their +; errors have a code of Twilio's own."""

    @staticmethod
    def error(status: int, code: int, message: str = "because", **headers: str) -> Reply:
        body = {"code": code, "message": message, "more_info": f"https://twilio.com/{code}", "status": status}
        return Reply(status, body, headers)

    def answer(self, request: VendorRequest) -> Reply:
        if (request.method, request.path) != ("POST", f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"):
            return self.error(404, 20404)
        expected = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return self.error(401, 20003, "Authenticate")
        form = _form(request)
        sender = form.get("From") or form.get("MessagingServiceSid")
        if not sender:
            return self.error(400, 21603, "A 'From' phone number is required.")
        if not form.get("To", "").startswith("+"):
            return self.error(400, 21211, f"Invalid 'To' Phone Number: {form.get('To')}")
        body = {"sid": "SM" + "f" * 32, "status": "queued", "num_segments": "1", "error_code": None}
        return self._take(form["To"], form["Body"], sender, Reply(201, body))
