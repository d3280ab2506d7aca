"""Mail over SMTP to a real server: delivery, kept connections, TLS, and every way it goes wrong."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from tests.support.email_jobs import PlainJob, a_mail, transactional, until
from tests.support.servers import PORTS
from tests.support.smtp_server import MailServer, mail_server

from toril.errors import (
    ConfigurationError,
    NotConfiguredError,
    PostponedError,
    RetryableError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.email import MailAttachment, SentMail, email_queue, parse_mailbox
from toril.queues.email.providers.smtp import SmtpProvider
from toril.queues.email.providers.smtp_server import SmtpServer

KEY = "email:1"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


@asynccontextmanager
async def connected(server: MailServer, query: str = "", **options: Any) -> AsyncIterator[SmtpProvider]:
    provider = SmtpProvider(f"smtp://127.0.0.1:{server.port}{query}", **options)
    try:
        yield provider
    finally:
        await provider.close()


@pytest.fixture
async def provider(server: MailServer) -> AsyncIterator[SmtpProvider]:
    async with connected(server) as running:
        yield running


async def test_a_mail_arrives_whole(server: MailServer, provider: SmtpProvider) -> None:
    mail = a_mail(
        to=("سارة <sara@شركة.السعودية>", "b@example.com"),
        cc=(parse_mailbox("c@example.com"),),
        bcc=(parse_mailbox("hidden@example.com"), parse_mailbox("b@example.com")),
        subject="فاتورة رقم ٢٠٤",
        text=".\n..\nالسلام عليكم\n.",
        attachments=(
            MailAttachment(
                filename="a.bin", content=b"\r\n.\r\n\x00" * 9999, content_type="application/x-any"
            ),
        ),
    )
    sent = await provider.send(mail, idempotency_key=KEY)
    assert sent == SentMail(message_id=mail.message_id)
    [received] = server.mails
    assert received.sender == "no-reply@mail.example.com"
    assert received.recipients == [
        "sara@xn--ogbpi5d.xn--mgberp4a5d4ar",
        "b@example.com",
        "c@example.com",
        "hidden@example.com",
    ]
    message = received.message
    assert message["Subject"] == mail.subject
    assert message["Bcc"] is None
    assert b"hidden" not in received.content
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content() == mail.text  # type: ignore[attr-defined]
    [attachment] = message.iter_attachments()
    assert attachment.get_content() == mail.attachments[0].content  # type: ignore[attr-defined]


async def test_one_connection_carries_many_mails(server: MailServer, provider: SmtpProvider) -> None:
    for _ in range(5):
        await provider.send(a_mail(), idempotency_key=KEY)
    assert len(server.mails) == 5
    assert len(server.connections) == 1


async def test_a_connection_the_server_dropped_is_replaced(
    server: MailServer, provider: SmtpProvider
) -> None:
    await provider.send(a_mail(), idempotency_key=KEY)
    server.cut_all()
    await provider.send(a_mail(), idempotency_key=KEY)
    assert len(server.mails) == 2
    assert len(server.connections) == 2


async def test_mails_at_the_same_time_share_a_few_connections(server: MailServer) -> None:
    async with connected(server, connections=3) as provider:
        await asyncio.gather(*(provider.send(a_mail(), idempotency_key=KEY) for _ in range(30)))
    assert len(server.mails) == 30
    assert server.most_at_once == 3


async def test_closing_says_goodbye_to_every_connection(server: MailServer) -> None:
    async with connected(server) as provider:
        await asyncio.gather(*(provider.send(a_mail(), idempotency_key=KEY) for _ in range(4)))
        await provider.close()
        await until(lambda: all(connection.transport is None for connection in server.connections))
        await provider.send(a_mail(), idempotency_key=KEY)
    assert len(server.mails) == 5


@pytest.mark.parametrize(
    ("answers", "error", "says"),
    [
        pytest.param({"MAIL": "451 4.3.0 try later"}, PostponedError, "451 4.3.0 try later", id="sender 4xx"),
        pytest.param({"MAIL": "550 5.7.1 not you"}, UnrecoverableError, "550 5.7.1 not you", id="sender 5xx"),
        pytest.param({"MAIL": "530 5.7.0 log in first"}, NotConfiguredError, "530", id="login needed"),
        pytest.param({"DATA": "452 4.2.2 mailbox full"}, PostponedError, "452 4.2.2", id="content 4xx"),
        pytest.param({"DATA": "554 5.7.1 spam"}, UnrecoverableError, "554 5.7.1 spam", id="content 5xx"),
        pytest.param(
            {"client@example.com": "550 5.1.1 no such user"},
            UnrecoverableError,
            "client@example.com: 550 5.1.1 no such user",
            id="recipient 5xx",
        ),
        pytest.param(
            {"client@example.com": "450 4.2.0 greylisted"}, PostponedError, "450", id="recipient 4xx"
        ),
    ],
)
async def test_a_refusal_decides_how_the_job_goes_on(
    server: MailServer, provider: SmtpProvider, answers: dict[str, str], error: type[Exception], says: str
) -> None:
    server.answers = answers
    with pytest.raises(error, match=says.replace(".", r"\.")) as caught:
        await provider.send(a_mail(), idempotency_key=KEY)
    assert type(caught.value) is error
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    # The connection is good for the next mail, and holds nothing of the refused one.
    server.answers = {}
    await provider.send(a_mail(to=("next@example.com",)), idempotency_key="email:2")
    assert [mail.recipients for mail in server.mails] == [["next@example.com"]]
    assert len(server.connections) == 1


async def test_all_recipients_refused_is_retried_if_one_may_be_taken_later(
    server: MailServer, provider: SmtpProvider
) -> None:
    server.answers = {"a@example.com": "550 no", "b@example.com": "450 later"}
    with pytest.raises(RetryableError, match="refused all recipients"):
        await provider.send(a_mail(to=("a@example.com", "b@example.com")), idempotency_key=KEY)


async def test_a_partial_refusal_is_a_success_that_names_the_refused(
    server: MailServer, provider: SmtpProvider
) -> None:
    server.answers = {"gone@example.com": "550 5.1.1 no such user"}
    job = PlainJob(transactional(to=["gone@example.com", "b@example.com"]), id="7")
    result = await email_queue(provider, from_email="o@mail.example.com").process(job)
    assert result == {
        "success": True,
        "messageId": "<email_7_1@mail.example.com>",
        "to": ["gone@example.com", "b@example.com"],
        "subject": "Invoice 204",
    }
    [row] = job.rows
    assert "gone@example.com was refused" in row
    assert "550 5.1.1 no such user" in row
    assert [mail.recipients for mail in server.mails] == [["b@example.com"]]


async def test_a_connection_lost_after_the_content_leaves_the_outcome_open(
    server: MailServer, provider: SmtpProvider
) -> None:
    server.on_data = "drop"
    with pytest.raises(UnknownOutcomeError, match=r"it may have been sent.*<email\.1@mail\.example\.com>"):
        await provider.send(a_mail(), idempotency_key=KEY)
    server.on_data = ""
    await provider.send(a_mail(), idempotency_key="email:2")
    assert len(server.mails) == 1


async def test_no_answer_to_the_content_leaves_the_outcome_open(server: MailServer) -> None:
    server.on_data = "hang"
    async with connected(server, data_timeout=0.2) as provider:
        with pytest.raises(UnknownOutcomeError, match="Timed out"):
            await provider.send(a_mail(), idempotency_key=KEY)


async def test_nonsense_in_answer_to_the_content_leaves_the_outcome_open(
    server: MailServer, provider: SmtpProvider
) -> None:
    server.answers["DATA"] = "well"
    with pytest.raises(UnknownOutcomeError, match="it may have been sent"):
        await provider.send(a_mail(), idempotency_key=KEY)
    server.answers.clear()
    await provider.send(a_mail(), idempotency_key="email:2")
    assert len(server.connections) == 2


async def test_a_connection_lost_before_the_content_is_retried(
    server: MailServer, provider: SmtpProvider
) -> None:
    server.on_data = "drop early"
    with pytest.raises(RetryableError):
        await provider.send(a_mail(), idempotency_key=KEY)
    assert not server.content_came.is_set()


async def test_a_cancelled_mail_does_not_spoil_the_next(server: MailServer, provider: SmtpProvider) -> None:
    server.on_data = "hang"
    sending = asyncio.create_task(provider.send(a_mail(), idempotency_key=KEY))
    await server.content_came.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    server.on_data = ""
    await provider.send(a_mail(to=("next@example.com",)), idempotency_key="email:2")
    assert [mail.recipients for mail in server.mails] == [["next@example.com"]]
    assert len(server.connections) == 2


async def test_a_server_that_is_away_is_retried(unused_port: int) -> None:
    provider = SmtpProvider(f"smtp://127.0.0.1:{unused_port}")
    with pytest.raises(RetryableError, match="Error connecting"):
        await provider.send(a_mail(), idempotency_key=KEY)


@pytest.fixture
async def unused_port() -> AsyncIterator[int]:
    for port in reversed(PORTS):
        try:
            listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
        except OSError:
            continue
        listening.close()
        await listening.wait_closed()
        yield port
        return


@pytest.mark.parametrize(
    ("said", "least"),
    [
        pytest.param("450 4.2.0 greylisted", 300.0, id="greylisting takes minutes"),
        pytest.param("451 4.7.1 Greylisted, try again in 120 seconds", 120.0, id="as told in seconds"),
        pytest.param("451 4.7.1 come back in 7 minutes", 420.0, id="as told in minutes"),
        pytest.param("452 4.3.1 system storage", 60.0, id="anything else"),
        pytest.param("450 4.2.0 come back in 99999 hours", 3600.0, id="an hour at most"),
    ],
)
async def test_a_server_that_says_later_is_left_alone_for_as_long_as_it_says(
    server: MailServer, provider: SmtpProvider, said: str, least: float
) -> None:
    server.answers = {"client@example.com": said}
    with pytest.raises(PostponedError) as caught:
        await provider.send(a_mail(), idempotency_key=KEY)
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= least * 1.25


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        pytest.param(b"421 4.3.2 closing\r\n", PostponedError, id="busy"),
        pytest.param(b"554 5.7.1 no service for you\r\n", NotConfiguredError, id="refuses us"),
        pytest.param(b"554 no\x00\x1b service\r\n", NotConfiguredError, id="control characters"),
        pytest.param("554 مرفوض\r\n".encode("windows-1256"), NotConfiguredError, id="not UTF-8"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", RetryableError, id="not SMTP"),
        pytest.param(b"", RetryableError, id="says nothing"),
    ],
)
async def test_the_greeting_decides_too(greeting: bytes, error: type[Exception]) -> None:
    gone = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()  # until the client goes
        writer.close()
        await writer.wait_closed()
        gone.set()

    listening = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        provider = SmtpProvider(f"smtp://127.0.0.1:{port}", timeout=0.3)
        with pytest.raises(error) as caught:
            await provider.send(a_mail(), idempotency_key=KEY)
        assert type(caught.value) is error
        # Or what became of the job could not be stored.
        str(caught.value).encode()
        assert str(caught.value).isprintable()
        await gone.wait()
    finally:
        listening.close()
        await listening.wait_closed()


async def test_a_mail_too_large_for_the_server_is_refused_before_it_travels() -> None:
    async with mail_server(data_size_limit=50_000) as server, connected(server) as provider:
        with pytest.raises(UnrecoverableError, match="552"):
            await provider.send(a_mail(text="x\n" * 50_000), idempotency_key=KEY)
        assert not server.content_came.is_set()
        await provider.send(a_mail(), idempotency_key="email:2")
        assert f"SIZE={len(server.mails[0].content)}" in server.mail_options


class TestLogin:
    async def test_user_and_password_come_from_the_url(self, server: MailServer) -> None:
        server.password = b"p@ss:word/"
        provider = SmtpProvider(f"smtp://me%40example.com:p%40ss%3Aword%2F@127.0.0.1:{server.port}")
        await provider.send(a_mail(), idempotency_key=KEY)
        await provider.close()
        assert (b"me@example.com", b"p@ss:word/") in server.logins
        assert len(server.mails) == 1

    async def test_a_refused_login_is_a_configuration_error_without_the_password(
        self, server: MailServer
    ) -> None:
        provider = SmtpProvider(f"smtp://me:wrong-password@127.0.0.1:{server.port}")
        with pytest.raises(NotConfiguredError, match="refused the login") as caught:
            await provider.send(a_mail(), idempotency_key=KEY)
        assert "wrong-password" not in str(caught.value)
        assert "wrong-password" not in repr(provider.server)
        assert isinstance(caught.value, ConfigurationError)

    async def test_a_login_that_cannot_be_checked_now_is_retried(self, server: MailServer) -> None:
        server.answers = {"AUTH": "454 4.7.0 temporary authentication failure"}
        provider = SmtpProvider(f"smtp://me:secret@127.0.0.1:{server.port}")
        with pytest.raises(RetryableError, match="454"):
            await provider.send(a_mail(), idempotency_key=KEY)

    async def test_a_server_without_login_is_a_configuration_error(self) -> None:
        async with mail_server(auth_exclude_mechanism=["LOGIN", "PLAIN"]) as server:
            provider = SmtpProvider(f"smtp://me:secret@127.0.0.1:{server.port}")
            with pytest.raises(NotConfiguredError, match="authentication"):
                await provider.send(a_mail(), idempotency_key=KEY)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def certificate(authority: trustme.CA) -> Callable[[str], ssl.SSLContext]:
    def issue(host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(context)
        return context

    return issue


class TestTls:
    async def test_smtps_is_tls_from_the_first_byte(
        self, certificate: Callable[[str], ssl.SSLContext], trusting: ssl.SSLContext
    ) -> None:
        async with mail_server(implicit_tls=certificate("127.0.0.1")) as server:
            provider = SmtpProvider(f"smtps://127.0.0.1:{server.port}", tls_context=trusting)
            await provider.send(a_mail(), idempotency_key=KEY)
            await provider.send(a_mail(), idempotency_key=KEY)
            await provider.close()
            assert len(server.mails) == 2
            assert len(server.connections) == 1

    async def test_starttls_comes_before_the_login(
        self, certificate: Callable[[str], ssl.SSLContext], trusting: ssl.SSLContext
    ) -> None:
        async with mail_server(starttls=certificate("127.0.0.1"), require_starttls=True) as server:
            provider = SmtpProvider(
                f"smtp://me:secret@127.0.0.1:{server.port}?tls=required", tls_context=trusting
            )
            await provider.send(a_mail(), idempotency_key=KEY)
            await provider.close()
            assert len(server.mails) == 1
            assert set(server.logins) == {(b"me", b"secret")}

    async def test_required_tls_is_not_given_up(self, server: MailServer) -> None:
        provider = SmtpProvider(f"smtp://me:secret@127.0.0.1:{server.port}?tls=required")
        with pytest.raises(NotConfiguredError, match="STARTTLS"):
            await provider.send(a_mail(), idempotency_key=KEY)
        assert server.logins == []
        assert server.mails == []

    @pytest.mark.parametrize("scheme", ["smtps", "smtp"])
    async def test_a_certificate_that_does_not_verify_is_a_configuration_error(
        self, certificate: Callable[[str], ssl.SSLContext], trusting: ssl.SSLContext, scheme: str
    ) -> None:
        wrong = certificate("mail.example.com")
        tls: dict[str, Any] = {"implicit_tls": wrong} if scheme == "smtps" else {"starttls": wrong}
        query = "" if scheme == "smtps" else "?tls=required"
        async with mail_server(**tls) as server:
            for context in (trusting, None):  # the wrong name; an authority nobody knows
                provider = SmtpProvider(f"{scheme}://127.0.0.1:{server.port}{query}", tls_context=context)
                with pytest.raises(NotConfiguredError, match="certificate does not verify"):
                    await provider.send(a_mail(), idempotency_key=KEY)
            assert server.mails == []


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "port", "tls"),
        [
            pytest.param("smtp://mail.example.com", 25, "offered", id="relay"),
            pytest.param("smtp://me:x@mail.example.com", 587, "required", id="submission"),
            pytest.param("smtp://me:x@mail.example.com:2525?tls=off", 2525, "off", id="told off"),
            pytest.param("smtp://localhost:1025", 1025, "off", id="this machine"),
            pytest.param("smtp://localhost?tls=offered", 25, "offered", id="this machine, told"),
            pytest.param("smtps://me:x@mail.example.com", 465, "implicit", id="smtps"),
        ],
    )
    def test_a_url_has_safe_defaults(self, url: str, port: int, tls: str) -> None:
        server = SmtpServer.from_url(url)
        assert (server.port, server.tls) == (port, tls)

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            pytest.param("http://mail.example.com", "scheme 'http'", id="scheme"),
            pytest.param("smtp://", "host None", id="no host"),
            pytest.param("smtp://me:hunter2@mail.example.com:x", "cannot be read", id="port"),
            pytest.param(
                "smtp://me:hunter2/x@mail.example.com", "percent-encoded", id="slash in the password"
            ),
            pytest.param("smtp://me:1?hunter2@mail.example.com", "percent-encoded", id="? in the password"),
            pytest.param("smtp://me:1#hunter2@mail.example.com", "percent-encoded", id="# in the password"),
            pytest.param(
                "smtp://me:hunter2@mail.example.com?verify=no", "unknown option 'verify'", id="option"
            ),
            pytest.param("smtp://me:hunter2@mail.example.com?tls=maybe", "tls=maybe", id="value"),
            pytest.param("smtps://me:hunter2@mail.example.com?tls=off", "tls=off", id="smtps without TLS"),
        ],
    )
    def test_a_bad_url_is_explained_without_its_password(self, url: str, says: str) -> None:
        with pytest.raises(ConfigurationError, match=says.replace("?", r"\?")) as caught:
            SmtpServer.from_url(url)
        assert "hunter2" not in str(caught.value)
