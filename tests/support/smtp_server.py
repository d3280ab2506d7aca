"""A real SMTP server (aiosmtpd) on a loopback port, that keeps what it gets and fails on request."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class ReceivedMail:
    sender: str
    recipients: list[str]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.content, policy=default))


@dataclass
class MailServer:
    """The server and its script.

    Attributes:
        answers: what to say instead of 250: by the command ``MAIL`` or ``DATA``, or by a recipient's address.
        on_data: ``"drop"`` cuts the connection when the content has come, ``"hang"`` never answers it, and
            ``"keep and hang"`` neither, but has the mail;
            ``"drop early"`` cuts when the envelope is complete, before DATA.
        busy_for: answer so many MAIL commands with ``busy`` first.
        connections: every connection made, open or not.
    """

    port: int = 0
    mails: list[ReceivedMail] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    on_data: str = ""
    busy_for: int = 0
    busy: str = "451 4.3.2 busy"
    connections: list[SMTP] = field(default_factory=list)
    most_at_once: int = 0
    mail_options: list[str] = field(default_factory=list)  #: of the last MAIL command
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    password: bytes = b"secret"
    content_came: asyncio.Event = field(default_factory=asyncio.Event)

    def cut_all(self) -> None:
        for connection in self.connections:
            if connection.transport is not None:
                cast(asyncio.Transport, connection.transport).abort()

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, kind: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        if answer := self.answers.get("AUTH"):
            return AuthResult(success=False, handled=False, message=answer)
        return AuthResult(success=data.password == self.password, handled=False)

    # aiosmtpd calls these for the SMTP commands they are named after.

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self.answers.get("MAIL"):
            return answer
        if self.busy_for:
            self.busy_for -= 1
            return self.busy
        self.mail_options = options
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self.answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        if self.on_data == "drop early":
            cast(asyncio.Transport, server.transport).abort()
            await asyncio.Event().wait()
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.content_came.set()
        if self.on_data == "drop":
            cast(asyncio.Transport, server.transport).abort()
        if self.on_data in ("drop", "hang"):
            await asyncio.Event().wait()  # aiosmtpd cancels this when the connection ends
        if answer := self.answers.get("DATA"):
            return answer
        assert envelope.mail_from is not None
        assert isinstance(envelope.content, bytes)
        self.mails.append(ReceivedMail(envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        if self.on_data == "keep and hang":
            await asyncio.Event().wait()
        return "250 kept"


@asynccontextmanager
async def mail_server(
    *, implicit_tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[MailServer]:
    """Run a server; ``options`` go to ``aiosmtpd.smtp.SMTP``."""
    loop = asyncio.get_running_loop()
    server = MailServer()

    class Connection(SMTP):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if self not in server.connections:
                server.connections.append(self)
            super().connection_made(transport)
            opened = sum(connection.transport is not None for connection in server.connections)
            server.most_at_once = max(server.most_at_once, opened)

    def accept() -> Connection:
        return Connection(
            server,
            hostname="mail.test",
            loop=loop,
            tls_context=starttls,
            authenticator=server.authenticate,
            auth_require_tls=starttls is not None,
            **options,
        )

    listening = await loop.create_server(accept, "127.0.0.1", 0, ssl=implicit_tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        server.cut_all()
        await listening.wait_closed()
        handlers = [connection._handler_coroutine for connection in server.connections]
        running = [task for task in handlers if task is not None]
        for task in running:
            task.cancel()  # after a failed TLS handshake aiosmtpd would wait for ever
        await asyncio.gather(*running, return_exceptions=True)
