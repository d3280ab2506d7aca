"""Webhooks of SMS providers: believed when they are signed, and told in any order."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from tests.support.web_site import Site

from toril.db.repositories.sms import SmsOptOuts, SmsReports

TOKEN, HIDDEN = "twilio-auth-token-1", "unguessable" * 4
PATH = "/api/webhooks/sms/twilio"


@pytest.fixture
async def told(site: Site) -> Site:
    settings = replace(
        site.web.settings,
        twilio_auth_token=TOKEN,
        sms_webhook_token=HIDDEN,
        sms_webhook_answer="agreed",
        public_url="https://office.example/app",
    )
    site.app.state.toril = replace(site.web, settings=settings)
    return site


async def call(
    site: Site, *, token: str = TOKEN, url: str = f"https://office.example/app{PATH}", **fields: str
) -> int:
    text = url + "".join(name + fields[name] for name in sorted(fields))
    signature = base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()
    answer = await site.client.post(
        PATH,
        content=urlencode(fields),
        headers={"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature},
    )
    return answer.status_code


async def status_of(site: Site, message_id: str) -> str | None:
    async with site.web.installation.database.reading() as session:
        found = await SmsReports(session).list(message_id=message_id)
        return found.items[0].status if found.items else None


async def test_a_delivery_is_never_taken_back(told: Site) -> None:
    for status, then in (
        ("sending", None),
        ("delivered", "delivered"),
        ("sent", "delivered"),
        ("failed", "delivered"),
    ):
        assert await call(told, MessageSid="SM1", MessageStatus=status) == 204
        assert await status_of(told, "SM1") == then


async def test_a_report_with_texts_that_no_database_keeps_is_kept(told: Site) -> None:
    assert await call(told, MessageSid="SM\x009", MessageStatus="failed", ErrorMessage="no\x00route") == 204
    async with told.web.installation.database.reading() as session:
        [report] = (await SmsReports(session).list()).items
    assert (report.message_id, report.error) == ("SM?9", "no?route")


async def test_a_callback_that_twilio_did_not_sign_changes_nothing(told: Site) -> None:
    fields = {"MessageSid": "SM2", "MessageStatus": "failed", "From": "+966512345678", "Body": "STOP"}
    assert await call(told, token="another", **fields) == 403
    assert await call(told, url=f"http://127.0.0.1{PATH}", **fields) == 403
    assert (await told.client.post(PATH, content=urlencode(fields))).status_code == 403
    assert (await told.client.post(PATH, content=b"\xff\xff")).status_code == 400
    assert await status_of(told, "SM2") is None
    async with told.web.installation.database.reading() as session:
        assert (await SmsOptOuts(session).list()).total == 0


async def test_stop_is_honoured_until_start(told: Site) -> None:
    database = told.web.installation.database

    async def has() -> bool:
        async with database.reading() as session:
            return await SmsOptOuts(session).has("+966512345678")

    for _ in range(2):
        assert (
            await call(told, MessageSid="SM3", From="+966512345678", Body="Stop", SmsStatus="received") == 204
        )
    assert await has()
    assert await call(told, MessageSid="SM4", From="+966512345678", Body="START") == 204
    assert not await has()


async def test_reports_that_nobody_signs_need_the_address(told: Site) -> None:
    async def post(path: str, body: bytes) -> httpx.Response:
        return await told.client.post(f"/api/webhooks/sms/{path}", content=body)

    good = await post(f"taqnyat/{HIDDEN}", b'{"msgid": 7001122, "status": "Delivered"}')
    assert (good.status_code, good.text) == (200, "agreed")
    assert await status_of(told, "7001122") == "delivered"
    assert (await post(f"unifonic/{HIDDEN}", b"MessageID=43&DLR=Undeliverable")).status_code == 200
    assert await status_of(told, "43") == "failed"
    assert (await post(f"unifonic/{HIDDEN[:-1]}x", b"MessageID=44&DLR=Delivered")).status_code == 404
    assert (await post(f"other/{HIDDEN}", b"MessageID=44&DLR=Delivered")).status_code in (400, 404)
    assert (await post(f"unifonic/{HIDDEN}", b"{")).status_code == 400
    assert await status_of(told, "44") is None


async def test_without_its_settings_no_webhook_is_taken(site: Site, tmp_path: Path) -> None:
    assert (await site.client.post(PATH, content=b"a=1")).status_code == 404
    assert (await site.client.post(f"/api/webhooks/sms/taqnyat/{HIDDEN}", content=b"a=1")).status_code == 404
