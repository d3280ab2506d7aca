"""Mail by Resend's API, against a server that behaves as its documentation says."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.support.email_jobs import PlainJob, a_mail, transactional
from tests.support.resend_server import API_KEY, Answer, ResendServer, failure, resend_server

import toril
from toril.errors import (
    ConfigurationError,
    NotConfiguredError,
    PostponedError,
    RetryableError,
    UnrecoverableError,
)
from toril.queues.email import MailAttachment, email_queue, parse_mailbox
from toril.queues.email.providers.base import ProviderBusyError, QuotaUsedUpError
from toril.queues.email.providers.resend import ResendProvider

KEY = "email:1"


@pytest.fixture
async def server() -> AsyncIterator[ResendServer]:
    async with resend_server() as running:
        yield running


@pytest.fixture
async def provider(server: ResendServer) -> AsyncIterator[ResendProvider]:
    running = ResendProvider(API_KEY, base_url=server.url)
    yield running
    await running.close()


async def test_a_mail_travels_as_resend_wants_it(server: ResendServer, provider: ResendProvider) -> None:
    mail = a_mail(
        to=("سارة <sara@شركة.السعودية>", '"Ali, Omar" <omar@example.com>'),
        subject="فاتورة",
        html="<p>مرحبا</p>",
        text="مرحبا",
        cc=(parse_mailbox("c@example.com"),),
        bcc=(parse_mailbox("b@example.com"),),
        reply_to=(parse_mailbox("r@example.com"),),
        tags=(("firm", "65f0c1"),),
        attachments=(
            MailAttachment(filename="فاتورة.pdf", content=b"%PDF\x00", content_type="application/pdf"),
            MailAttachment(filename="l.png", content=b"PNG", content_type="image/png", content_id="logo"),
        ),
    )
    sent = await provider.send(mail, idempotency_key=KEY)
    [request] = server.requests
    assert request.json == {
        "from": "Office <no-reply@mail.example.com>",
        "to": ["سارة <sara@xn--ogbpi5d.xn--mgberp4a5d4ar>", '"Ali, Omar" <omar@example.com>'],
        "subject": "فاتورة",
        "html": "<p>مرحبا</p>",
        "text": "مرحبا",
        "cc": ["c@example.com"],
        "bcc": ["b@example.com"],
        "reply_to": ["r@example.com"],
        "headers": {"Message-ID": "<email.1@mail.example.com>"},
        "tags": [{"name": "firm", "value": "65f0c1"}],
        "attachments": [
            {
                "filename": "فاتورة.pdf",
                "content": base64.b64encode(b"%PDF\x00").decode(),
                "content_type": "application/pdf",
            },
            {"filename": "l.png", "content": "UE5H", "content_type": "image/png", "content_id": "logo"},
        ],
    }
    assert request.headers["authorization"] == f"Bearer {API_KEY}"
    assert request.headers["idempotency-key"] == KEY
    assert request.headers["user-agent"] == f"toril/{toril.__version__}"
    assert request.headers["content-type"] == "application/json"
    assert len(sent.message_id) == 36
    assert sent.refused == {}


async def test_what_is_absent_is_left_out(server: ResendServer, provider: ResendProvider) -> None:
    await provider.send(a_mail(), idempotency_key=KEY)
    assert set(server.requests[0].json) == {"from", "to", "subject", "text", "headers"}


async def test_connections_are_kept(server: ResendServer, provider: ResendProvider) -> None:
    for number in range(5):
        await provider.send(a_mail(), idempotency_key=f"email:{number}")
    assert server.connections == 1


async def test_a_job_returns_resends_id(server: ResendServer, provider: ResendProvider) -> None:
    queue = email_queue(provider, from_email="o@example.com", from_name="مكتب")
    result = await queue.process(PlainJob(transactional(), id="17"))
    [request] = server.requests
    assert request.headers["idempotency-key"] == "email:17:1"
    assert request.json["from"] == "مكتب <o@example.com>"
    assert request.json["text"] == "It is due."
    assert set(result) == {"success", "messageId", "to", "subject"}
    assert len(result["messageId"]) == 36


@pytest.mark.parametrize("loss", ["drop", "hang"])
async def test_a_lost_answer_is_asked_for_again_and_the_mail_goes_out_once(
    server: ResendServer, loss: str
) -> None:
    provider = ResendProvider(API_KEY, base_url=server.url, read_timeout=0.3)
    queue = email_queue(provider, from_email="o@example.com")
    job = PlainJob(transactional(attachments=[{"filename": "a.pdf", "content": "UERG"}]))
    server.script = [loss]
    with pytest.raises(RetryableError, match="did not answer"):
        await queue.process(job)
    result = await queue.process(job)
    assert result["success"] is True
    first, second = server.requests
    assert first.body == second.body
    assert len(server.sent) == 1
    await queue.close()


async def test_the_same_key_for_another_mail_is_refused(
    server: ResendServer, provider: ResendProvider
) -> None:
    await provider.send(a_mail(), idempotency_key=KEY)
    with pytest.raises(UnrecoverableError, match="key_prefix"):
        await provider.send(a_mail(subject="Other"), idempotency_key=KEY)
    assert len(server.sent) == 1


async def test_the_same_mail_at_the_same_time_waits_a_little(
    server: ResendServer, provider: ResendProvider
) -> None:
    server.hold = asyncio.Event()
    first = asyncio.create_task(provider.send(a_mail(), idempotency_key=KEY))
    await server.arrived.wait()
    with pytest.raises(RetryableError, match="concurrent_idempotent_requests") as caught:
        await provider.send(a_mail(), idempotency_key=KEY)
    assert caught.value.retry_after is not None
    assert 3 <= caught.value.retry_after <= 4
    server.hold.set()
    await first
    assert len(server.sent) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(failure(400, "validation_error"), UnrecoverableError, id="400"),
        pytest.param(failure(400, "invalid_idempotency_key"), UnrecoverableError, id="400 key"),
        pytest.param(failure(401, "missing_api_key"), NotConfiguredError, id="401"),
        pytest.param(failure(401, "restricted_api_key"), NotConfiguredError, id="401 scope"),
        pytest.param(failure(403, "invalid_api_key"), NotConfiguredError, id="403 key"),
        pytest.param(failure(403, "validation_error"), NotConfiguredError, id="403 domain"),
        pytest.param(failure(404, "not_found"), UnrecoverableError, id="404"),
        pytest.param(failure(405, "method_not_allowed"), UnrecoverableError, id="405"),
        pytest.param(failure(409, "invalid_idempotent_request"), UnrecoverableError, id="409 body"),
        pytest.param(failure(409, "concurrent_idempotent_requests"), PostponedError, id="409 busy"),
        pytest.param(failure(422, "invalid_attachment"), UnrecoverableError, id="422 attachment"),
        pytest.param(failure(422, "invalid_from_address"), UnrecoverableError, id="422 from"),
        pytest.param(failure(422, "a_new_name"), UnrecoverableError, id="422 new"),
        pytest.param(failure(429, "rate_limit_exceeded"), ProviderBusyError, id="429"),
        pytest.param(failure(429, "daily_quota_exceeded"), QuotaUsedUpError, id="429 day"),
        pytest.param(failure(429, "monthly_quota_exceeded"), NotConfiguredError, id="429 month"),
        pytest.param(failure(451, "security_error"), UnrecoverableError, id="451"),
        pytest.param(failure(500, "application_error"), RetryableError, id="500"),
        pytest.param(failure(500, "internal_server_error"), RetryableError, id="500 internal"),
        pytest.param(Answer(502, b"<html>Bad gateway</html>"), RetryableError, id="502 page"),
        pytest.param(Answer(503, b""), RetryableError, id="503 empty"),
        pytest.param(Answer(403, b"<html>Blocked</html>"), NotConfiguredError, id="403 page"),
        pytest.param(Answer(413, b"<html>Too large</html>"), UnrecoverableError, id="413 page"),
        pytest.param(Answer(429, b"<html>Slow down</html>"), ProviderBusyError, id="429 page"),
        pytest.param(Answer(500, ["not", "an", "object"]), RetryableError, id="500 list"),
        pytest.param(Answer(422, {"name": None, "message": {"a": 1}}), UnrecoverableError, id="422 odd"),
        pytest.param(
            Answer(301, b"", {"location": "https://evil.example/emails"}), NotConfiguredError, id="redirect"
        ),
        pytest.param(Answer(200, b"<html>Welcome to the Wi-Fi</html>"), RetryableError, id="200 page"),
        pytest.param(Answer(200, b'{"id": "0b0d8'), RetryableError, id="200 cut JSON"),
        pytest.param(Answer(200, {"id": None}), RetryableError, id="200 without id"),
        pytest.param(Answer(200, []), RetryableError, id="200 list"),
    ],
)
async def test_an_answer_decides_how_the_job_goes_on(
    server: ResendServer, provider: ResendProvider, answer: Answer, error: type[Exception]
) -> None:
    server.script = [answer]
    with pytest.raises(error) as caught:
        await provider.send(a_mail(), idempotency_key=KEY)
    assert type(caught.value) is error
    assert API_KEY not in str(caught.value)
    if answer.status != 200:
        assert f"HTTP {answer.status}" in str(caught.value)
    assert len(server.requests) == 1


async def test_a_refusal_says_what_resend_said(server: ResendServer, provider: ResendProvider) -> None:
    server.script = [failure(422, "invalid_attachment", "The attachment\n is empty. " + "x" * 1000)]
    with pytest.raises(UnrecoverableError) as caught:
        await provider.send(a_mail(), idempotency_key=KEY)
    assert "HTTP 422, invalid_attachment: The attachment is empty." in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("retry_after", "least"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("999999", 3600.0, id="capped"),
        pytest.param("nonsense", 1.0, id="nonsense"),
        pytest.param(None, 1.0, id="absent"),
    ],
)
async def test_a_rate_limit_says_when_to_come_back(
    server: ResendServer, provider: ResendProvider, retry_after: str | None, least: float
) -> None:
    headers = {} if retry_after is None else {"retry_after": retry_after}
    server.script = [failure(429, "rate_limit_exceeded", **headers)]
    with pytest.raises(RetryableError) as caught:
        await provider.send(a_mail(), idempotency_key=KEY)
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= least * 1.25


async def test_retry_after_may_be_a_date(server: ResendServer, provider: ResendProvider) -> None:
    due = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    server.script = [Answer(503, b"", {"retry-after": due})]
    with pytest.raises(RetryableError) as caught:
        await provider.send(a_mail(), idempotency_key=KEY)
    assert caught.value.retry_after is not None
    assert 90 <= caught.value.retry_after <= 125


async def test_a_used_up_daily_quota_is_waited_for(server: ResendServer, provider: ResendProvider) -> None:
    server.script = [failure(429, "daily_quota_exceeded", retry_after="1")]
    with pytest.raises(RetryableError) as caught:
        await provider.send(a_mail(), idempotency_key=KEY)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 3600


async def test_a_real_key_is_needed(server: ResendServer) -> None:
    provider = ResendProvider("re_other", base_url=server.url)
    with pytest.raises(NotConfiguredError, match="invalid_api_key") as caught:
        await provider.send(a_mail(), idempotency_key=KEY)
    assert "re_other" not in str(caught.value)
    await provider.close()


async def test_an_answer_that_never_ends_is_given_up(server: ResendServer) -> None:
    provider = ResendProvider(API_KEY, base_url=server.url, total_timeout=0.3)
    server.script = ["drip"]
    with pytest.raises(RetryableError, match="TimeoutError"):
        await provider.send(a_mail(), idempotency_key=KEY)
    await provider.close()


async def test_a_server_that_is_away_is_retried() -> None:
    async with resend_server() as server:
        url = server.url
    provider = ResendProvider(API_KEY, base_url=url)
    with pytest.raises(RetryableError, match="ConnectError"):
        await provider.send(a_mail(), idempotency_key=KEY)
    await provider.close()


async def test_a_cancelled_send_is_cancelled(server: ResendServer, provider: ResendProvider) -> None:
    server.script = ["hang"]
    sending = asyncio.create_task(provider.send(a_mail(), idempotency_key=KEY))
    await server.arrived.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


@pytest.mark.parametrize("api_key", ["", " ", "re_\n123", "re_é"])
def test_a_key_that_cannot_be_is_refused(api_key: str) -> None:
    with pytest.raises(ConfigurationError, match="RESEND_API_KEY"):
        ResendProvider(api_key)


@pytest.mark.parametrize(
    "base_url",
    ["http://api.example.com", "ftp://127.0.0.1", "api.resend.com", "http://127.0.0.1.evil.example"],
)
def test_the_key_never_travels_in_clear(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be https"):
        ResendProvider(API_KEY, base_url=base_url)
