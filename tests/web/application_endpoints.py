"""Every endpoint of the application but those of the queues: how it is called rightly, and what it refuses. A test
compares it with the API's description, so that none is forgotten."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from tests.support.queue_api import DATA, end_job
from tests.support.web_people import Office
from tests.support.web_site import PASSWORD

from toril.db.ids import new_id
from toril.db.models import (
    ApiKey,
    CampaignSend,
    GeneratedFile,
    JobOwner,
    Notification,
    Payment,
    PushSubscription,
    Report,
    ReportStatus,
    Role,
    User,
)
from toril.db.repositories.credentials import FirmCredentials
from toril.db.repositories.sms import SmsOptOuts
from toril.db.repositories.suppressions import Suppressions
from toril.queues.email.tracking import TrackedMail
from toril.queues.notification import new_keys
from toril.testing.vendors.push import Browser
from toril.web.auth.passwords import hash_password
from toril.web.files import LinkedFile

RESEND_SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
META_SECRET, META_TOKEN = "meta-app-secret", "agreed-token"
TWILIO_TOKEN, SMS_TOKEN = "twilio-auth-token-1", "unguessable-" * 3
PUBLIC_KEY, PRIVATE_KEY = new_keys()

#: With these, all endpoints have what they need.
SETTINGS = {
    "resend_webhook_secret": RESEND_SECRET,
    "twilio_auth_token": TWILIO_TOKEN,
    "sms_webhook_token": SMS_TOKEN,
    "whatsapp_app_secret": META_SECRET,
    "whatsapp_verify_token": META_TOKEN,
    "vapid_public_key": PUBLIC_KEY,
    "vapid_private_key": PRIVATE_KEY,
    "contact_email": "ops@firm.example",
}

NOBODY = "ffffffffffffffffffffffff"
_HASH = hash_password(PASSWORD)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A right call: what goes into the path, and what is sent."""

    values: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)  #: ``json=``, ``content=``, ``headers=``
    token: str | None = None  #: instead of that of the lawyer, or of the administrator


Prepare = Callable[[Office], Awaitable[Call]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path.

    Attributes:
        path: as the API's description has it.
        who: may come in: anybody; who is signed in; administrators; these in person, and not a key of theirs.
        scope: that a key needs.
        prepare: for a right call.
        bad: bodies that are refused with 400; texts are sent as they are.
        bad_query: queries that are refused with 400.
        unknown: what a path that leads to nothing is answered with.
        stranger: what somebody of another firm is answered with.
        status: of the right call.
        kind: of its body.
    """

    method: str
    path: str
    who: Literal["anybody", "user", "session", "admin", "admin session"] = "user"
    scope: str | None = None
    prepare: Prepare = field(default=lambda _: _nothing())
    bad: tuple[Any, ...] = ()
    bad_query: tuple[str, ...] = ()
    unknown: int = 404
    stranger: int | None = None
    status: int = 200
    kind: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def takes_json(self) -> bool:
        return bool(self.bad)

    def url(self, **values: str) -> str:
        unknown = {"queue": "pdf"}.get
        names = [part[1:-1] for part in self.path.split("/") if part.startswith("{")]
        return self.path.format_map({name: values.get(name) or unknown(name, NOBODY) for name in names})


async def _nothing() -> Call:
    return Call()


async def _store(office: Office, *rows: Any) -> None:
    async with office.api.web.installation.database.session() as session:
        for row in rows:
            session.add(row)
            await session.flush()


async def _user(office: Office) -> str:
    """The address of a new user with the password of tests."""
    email = f"{new_id()}@firm.example"
    await _store(
        office, User(email=email, name="Ada", role=Role.STAFF, firm_id=office.firm_id, password_hash=_HASH)
    )
    return email


async def _signed_in(office: Office) -> dict[str, Any]:
    """The tokens of a new user."""
    credentials = {"email": await _user(office), "password": PASSWORD}
    tokens: dict[str, Any] = (await office.nobody.post("/api/auth/login", json=credentials)).json()["data"]
    return tokens


async def credentials(office: Office) -> Call:
    return Call(sent={"json": {"email": await _user(office), "password": PASSWORD}})


async def refresh_token(office: Office) -> Call:
    return Call(sent={"json": {"refreshToken": (await _signed_in(office))["refreshToken"]}})


async def signed_in(office: Office) -> Call:
    return Call(token=(await _signed_in(office))["accessToken"], sent={"json": {"everywhere": True}})


async def new_password(office: Office) -> Call:
    body = {"currentPassword": PASSWORD, "newPassword": "another pass phrase of tests"}
    return Call(token=(await _signed_in(office))["accessToken"], sent={"json": body})


async def new_key(office: Office) -> Call:
    return Call(sent={"json": {"name": "billing", "scopes": ["queues:write"], "expiresInDays": 30}})


async def a_key(office: Office) -> Call:
    key = ApiKey(
        user_id=office.lawyer_id,
        name="k",
        key_hash=new_id(),
        hint="toril_x",
        scopes=["records:read"],
        id=new_id(),
    )
    await _store(office, key)
    return Call(values={"key_id": key.id})


async def an_invoice(office: Office) -> Call:
    return Call(values={"invoice_id": office.records.invoices[0].id})


async def a_payment(office: Office) -> Call:
    row = Payment(
        id=new_id(), firm_id=office.firm_id, amount=Decimal(115), review="the gateway has 50.00 SAR"
    )
    await _store(office, row)
    return Call(values={"payment_id": row.id}, sent={"json": {"decision": "complete", "amount": "50.00"}})


async def a_payment_to_read(office: Office) -> Call:
    return Call(values=(await a_payment(office)).values)


async def new_credentials(office: Office) -> Call:
    query = {"firmId": office.firm_id}
    return Call(
        values={"service": "moyasar"}, query=query, sent={"json": {"values": {"secretKey": "sk_live_1"}}}
    )


async def credentials_of_the_firm(office: Office) -> Call:
    async with office.api.web.installation.database.session() as session:
        await FirmCredentials(session).put("moyasar", firm_id=office.firm_id, sealed="1:")
    return Call(values={"service": "moyasar"}, query={"firmId": office.firm_id})


async def a_new_suppression(office: Office) -> Call:
    return Call(sent={"json": {"email": "client@example.com"}})


async def an_opt_out(office: Office) -> Call:
    async with office.api.web.installation.database.session() as session:
        await SmsOptOuts(session).add("+966512345678", source="twilio")
    return Call(values={"number": "+966512345678"})


async def a_suppression(office: Office) -> Call:
    async with office.api.web.installation.database.session() as session:
        await Suppressions(session).add("client@example.com", reason="unsubscribed")
    return Call(values={"email": "client@example.com"})


async def the_firm(office: Office) -> Call:
    return Call(query={"firmId": office.firm_id})


async def new_report(office: Office) -> Call:
    return Call(sent={"json": {"type": "client-aging"}})


async def _a_file(office: Office) -> GeneratedFile:
    folder = office.api.web.settings.files_path / office.firm_id / "exports"  # type: ignore[operator]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{new_id()}.csv"
    path.write_bytes(b"name\r\nSara\r\n")
    file = GeneratedFile(
        id=new_id(), firm_id=office.firm_id, kind="export", name="clients.csv", path=str(path), size=12,
        media_type="text/csv",
    )  # fmt: skip
    await _store(office, file)
    return file


async def a_file(office: Office) -> Call:
    return Call(values={"file_id": (await _a_file(office)).id}, query={"expiresIn": "60"})


async def a_link(office: Office) -> Call:
    file = await _a_file(office)
    url, _ = office.api.web.links.make(LinkedFile(path=file.path, name=file.name))
    return Call(values={"token": url.rpartition("/")[2]})


async def a_report(office: Office) -> Call:
    file = await _a_file(office)
    report = Report(
        id=new_id(), firm_id=office.firm_id, type="data-export", status=ReportStatus.READY, file_id=file.id,
        summary={"recordCount": 1},
    )  # fmt: skip
    await _store(office, report)
    return Call(values={"report_id": report.id})


async def a_job_with_a_file(office: Office) -> Call:
    file = await _a_file(office)
    service = office.api.service
    job_id = (await service.add_job("cleanup", DATA))["jobId"]
    await end_job(service, "cleanup", job_id, "completed")
    queue = service.queue("cleanup")
    result = json.dumps({"filePath": file.path, "fileName": file.name})
    await queue.scripts.ask("HSET", queue.keys.job(job_id), "returnvalue", result)
    await _store(
        office, JobOwner(queue="cleanup", job_id=job_id, user_id=office.lawyer_id, firm_id=office.firm_id)
    )
    return Call(values={"queue": "cleanup", "job_id": job_id})


async def a_notification(office: Office) -> Call:
    row = Notification(id=new_id(), user_id=office.lawyer_id, firm_id=office.firm_id, title="t", message="m")
    await _store(office, row)
    return Call(values={"notification_id": row.id}, sent={})


async def notifications(office: Office) -> Call:
    read = await a_notification(office)
    return Call(sent={"json": {"ids": [read.values["notification_id"]]}})


async def a_browser(office: Office) -> Call:
    return Call(sent={"json": Browser(f"https://push.example.com/{new_id()}").subscription})


async def a_subscription(office: Office) -> Call:
    endpoint = f"https://push.example.com/{new_id()}"
    row = PushSubscription(user_id=office.lawyer_id, endpoint=endpoint, p256dh="p", auth="a")
    await _store(office, row)
    return Call(query={"endpoint": endpoint})


async def a_callback(office: Office) -> Call:
    fields = {"MessageSid": f"SM{new_id()}", "MessageStatus": "delivered"}
    url = f"{office.api.web.settings.reached_at()}/api/webhooks/sms/twilio"
    text = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.digest(TWILIO_TOKEN.encode(), text.encode(), hashlib.sha1)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": base64.b64encode(digest).decode(),
    }
    return Call(sent={"content": urlencode(fields), "headers": headers})


async def an_sms_report(office: Office) -> Call:
    return Call(
        values={"provider": "unifonic", "token": SMS_TOKEN},
        sent={"content": f"MessageID={new_id()}&DLR=Delivered"},
    )


async def a_mail_event(office: Office) -> Call:
    body = json.dumps(
        {"type": "email.delivered", "data": {"email_id": "re_1", "to": ["a@client.example"]}}
    ).encode()
    event_id, now = f"msg_{new_id()}", str(int(time.time()))
    digest = hmac.digest(b"k" * 24, f"{event_id}.{now}.".encode() + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    headers = {"svix-id": event_id, "svix-timestamp": now, "svix-signature": signature}
    return Call(sent={"content": body, "headers": headers})


async def a_challenge(office: Office) -> Call:
    return Call(
        query={"hub.mode": "subscribe", "hub.verify_token": META_TOKEN, "hub.challenge": "1158201444"}
    )


async def a_message(office: Office) -> Call:
    body = json.dumps({"object": "whatsapp_business_account", "entry": []}).encode()
    digest = hmac.digest(META_SECRET.encode(), body, hashlib.sha256).hex()
    return Call(sent={"content": body, "headers": {"X-Hub-Signature-256": f"sha256={digest}"}})


def _mail(action: str) -> Prepare:
    async def prepare(office: Office) -> Call:
        mail = TrackedMail(campaign_id="c", tracking_id=new_id())
        await _store(
            office,
            CampaignSend(campaign_id="c", email=f"{new_id()}@client.example", tracking_id=mail.tracking_id),
        )
        tracker = office.api.web.tracker
        url = {
            "open": tracker.open_url(mail),
            "click": tracker.click_url(mail, "https://firm.example/news"),
            "unsubscribe": tracker.unsubscribe_url(mail),
        }[action]
        return Call(values={"signed": urlsplit(url).path.rpartition("/")[2]})

    return prepare


_BODIES = ("", "{", "[]", {"unknown": 1})
_PAGES = ("limit=0", "limit=201", "limit=x", "offset=-1", "offset=1e9", f"offset={10**30}")
_FIRM = (f"firmId={'x' * 65}",)

ENDPOINTS = (
    Endpoint(
        method="POST", path="/api/auth/login", who="anybody", prepare=credentials,
        bad=(*_BODIES, {}, {"email": "a"}, {"email": "", "password": "b"}, {"email": "a", "password": 5}),
    ),
    Endpoint(
        method="POST", path="/api/auth/refresh", who="anybody", prepare=refresh_token,
        bad=(*_BODIES, {}, {"refreshToken": ""}, {"refreshToken": "x" * 201}),
    ),
    Endpoint(
        method="POST", path="/api/auth/logout", who="session", prepare=signed_in,
        bad=("{", "[]", {"unknown": 1}, {"everywhere": "perhaps"}),
    ),
    Endpoint(method="GET", path="/api/auth/me"),
    Endpoint(
        method="POST", path="/api/auth/password", who="session", prepare=new_password,
        bad=(*_BODIES, {}, {"currentPassword": PASSWORD}, {"currentPassword": PASSWORD, "newPassword": "short"}),
    ),
    Endpoint(
        method="POST", path="/api/keys", who="admin session", prepare=new_key, status=201,
        bad=(
            *_BODIES,
            {"name": "", "scopes": ["admin"]},
            {"name": "k", "scopes": []},
            {"name": "k", "scopes": ["everything"]},
            {"name": "k", "scopes": ["admin"], "expiresInDays": 0},
        ),
    ),
    Endpoint(method="GET", path="/api/keys", who="admin", scope="admin"),
    Endpoint(method="DELETE", path="/api/keys/{key_id}", who="admin", scope="admin", prepare=a_key),
    Endpoint(
        method="GET", path="/api/invoices", scope="records:read",
        bad_query=(*_PAGES, *_FIRM, "status=gone", "from=yesterday", "until=2026-02-30", "clientId=x", "from=0"),
    ),
    Endpoint(
        method="GET", path="/api/invoices/{invoice_id}", scope="records:read", prepare=an_invoice, stranger=404,
        bad_query=_FIRM,
    ),
    Endpoint(
        method="GET", path="/api/invoices/{invoice_id}/pdf", scope="records:write", prepare=an_invoice,
        stranger=404, bad_query=(*_FIRM, "download=perhaps", "priority=0", "priority=x", "priority=9999999"),
    ),
    Endpoint(
        method="GET", path="/api/payments", scope="records:read",
        bad_query=(*_PAGES, *_FIRM, "status=gone", "review=perhaps"),
    ),
    Endpoint(
        method="GET", path="/api/payments/{payment_id}", scope="records:read", prepare=a_payment_to_read,
        stranger=404, bad_query=_FIRM,
    ),
    Endpoint(
        method="POST", path="/api/payments/{payment_id}/review", scope="records:write", prepare=a_payment,
        stranger=404,
        bad=(
            *_BODIES,
            {},
            {"decision": "guess"},
            {"decision": "complete", "amount": "0"},
            {"decision": "complete", "amount": "1e300"},
            {"decision": "keep", "amount": "5"},
            {"decision": "refund", "amount": "116"},
        ),
    ),
    Endpoint(
        method="GET", path="/api/credentials", who="admin", scope="admin", prepare=the_firm,
        bad_query=_FIRM,
    ),
    Endpoint(
        method="PUT", path="/api/credentials/{service}", who="admin", scope="admin", prepare=new_credentials,
        unknown=400,
        bad=(
            *_BODIES,
            {},
            {"values": {}},
            {"values": {"secretKey": ""}},
            {"values": {"secretKey": "a\nb"}},
            {"values": {"secretKey": "k", "url": "https://a.example"}},
        ),
    ),
    Endpoint(
        method="DELETE", path="/api/credentials/{service}", who="admin", scope="admin",
        prepare=credentials_of_the_firm, unknown=400,
    ),
    Endpoint(
        method="GET", path="/api/suppressions", who="admin", scope="admin",
        bad_query=(*_FIRM, "limit=0", "limit=201", "offset=-1", f"email={'e' * 513}"),
    ),
    Endpoint(
        method="POST", path="/api/suppressions", who="admin", scope="admin", prepare=a_new_suppression, status=201,
        bad=(*_BODIES, {}, {"email": "nobody"}, {"email": 5}, {"email": "a@b.example", "reason": "bored"}),
    ),
    Endpoint(
        method="DELETE", path="/api/suppressions/{email}", who="admin", scope="admin", prepare=a_suppression,
    ),
    Endpoint(
        method="GET", path="/api/sms/reports", who="admin", scope="admin",
        bad_query=("limit=0", f"messageId={'m' * 257}"),
    ),
    Endpoint(method="GET", path="/api/sms/opt-outs", who="admin", scope="admin", bad_query=("limit=0", "offset=-1")),
    Endpoint(
        method="DELETE", path="/api/sms/opt-outs/{number}", who="admin", scope="admin", prepare=an_opt_out,
    ),
    Endpoint(
        method="POST", path="/api/reports/generate", scope="records:write", prepare=new_report,
        bad=("", "{", "[]", {}, {"type": 5}, {"type": "unheard-of"}, {"type": "client-aging", "colour": "red"}),
    ),
    Endpoint(method="GET", path="/api/reports", scope="records:read", bad_query=(*_PAGES, *_FIRM)),
    Endpoint(
        method="GET", path="/api/reports/{report_id}", scope="records:read", prepare=a_report, stranger=404,
        bad_query=_FIRM,
    ),
    Endpoint(
        method="GET", path="/api/reports/{report_id}/download", scope="records:read", prepare=a_report,
        stranger=404, bad_query=(*_FIRM, "pdf=perhaps"), kind="text/csv",
    ),
    Endpoint(method="GET", path="/api/files", scope="records:read", bad_query=(*_PAGES, *_FIRM, f"kind={'x' * 33}")),
    Endpoint(
        method="GET", path="/api/files/of-job/{queue}/{job_id}", scope="records:read", prepare=a_job_with_a_file,
        unknown=403, stranger=403, bad_query=("expiresIn=0", "expiresIn=x", "expiresIn=99999999"),
    ),
    Endpoint(
        method="GET", path="/api/files/{file_id}", scope="records:read", prepare=a_file, stranger=404,
        bad_query=(*_FIRM, "expiresIn=0"),
    ),
    Endpoint(method="GET", path="/files/{token}", who="anybody", prepare=a_link, kind="text/csv"),
    Endpoint(method="GET", path="/api/notifications", scope="records:read", bad_query=(*_PAGES, "unread=perhaps")),
    Endpoint(
        method="POST", path="/api/notifications/read", scope="records:write", prepare=notifications,
        bad=("{", "[]", {"unknown": 1}, {"ids": "x"}, {"ids": ["x"]}, {"ids": [NOBODY] * 501}),
    ),
    Endpoint(
        method="POST", path="/api/notifications/{notification_id}/read", scope="records:write",
        prepare=a_notification, unknown=200,
    ),
    Endpoint(method="GET", path="/api/push/key", scope="records:read"),
    Endpoint(method="GET", path="/api/push/subscriptions", scope="records:read"),
    Endpoint(
        method="POST", path="/api/push/subscriptions", scope="records:write", prepare=a_browser, status=201,
        bad=(*_BODIES, {}, {"endpoint": "javascript:1", "keys": {}}, {"endpoint": "https://a.example", "keys": None}),
    ),
    Endpoint(
        method="DELETE", path="/api/push/subscriptions", scope="records:write", prepare=a_subscription,
        stranger=404, bad_query=("", f"endpoint={'x' * 2049}"),
    ),
    Endpoint(method="POST", path="/api/webhooks/resend", who="anybody", prepare=a_mail_event),
    Endpoint(
        method="POST", path="/api/webhooks/sms/twilio", who="anybody", prepare=a_callback, status=204, kind="",
    ),
    Endpoint(
        method="POST", path="/api/webhooks/sms/{provider}/{token}", who="anybody", prepare=an_sms_report,
        kind="text/plain",
    ),
    Endpoint(
        method="GET", path="/api/webhooks/whatsapp", who="anybody", prepare=a_challenge, kind="text/plain",
        bad_query=(f"hub.verify_token={'x' * 513}",),
    ),
    Endpoint(method="POST", path="/api/webhooks/whatsapp", who="anybody", prepare=a_message),
    Endpoint(method="GET", path="/t/o/{signed}", who="anybody", prepare=_mail("open"), kind="image/gif"),
    Endpoint(method="GET", path="/t/c/{signed}", who="anybody", prepare=_mail("click"), status=302, kind=""),
    Endpoint(method="GET", path="/t/u/{signed}", who="anybody", prepare=_mail("unsubscribe"), kind="text/html"),
    Endpoint(method="POST", path="/t/u/{signed}", who="anybody", prepare=_mail("unsubscribe"), kind="text/html"),
    Endpoint(method="GET", path="/health/live", who="anybody"),
    Endpoint(method="GET", path="/health/ready", who="anybody"),
)  # fmt: skip
