"""Mail over SMTP, on connections that are kept."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import replace
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPStatus,
    SMTPTimeoutError,
)

from toril.errors import UnknownOutcomeError
from toril.queues.email.message import Mail
from toril.queues.email.mime import to_bytes
from toril.queues.email.providers.base import SentMail
from toril.queues.email.providers.smtp_errors import answer, explain
from toril.queues.email.providers.smtp_server import SmtpServer

#: The one server that takes idempotency keys.
_KNOWS_KEYS: Final = "smtp.resend.com"


class SmtpProvider:
    """Sends by one SMTP server.

    SMTP has no idempotency keys: a mail that the server may have taken, but did not confirm, raises
    ``UnknownOutcomeError``. The Message-ID is the same for every attempt at a job, so most receivers show a
    mail that came twice once.

    Args:
        server: an ``SmtpServer``, or a URL for ``SmtpServer.from_url``.
        timeout: seconds for connecting, and for the answer to each command.
        data_timeout: seconds from the start of the mail's content to the server's word that it has it; 300
            are enough for 40 MB at 1 Mbit/s. RFC 5321 suggests 600.
        connections: at most this many at a time; more mails wait for one.
        tls_context: for certificates the system does not know; the default verifies against the system's.
    """

    def __init__(
        self,
        server: SmtpServer | str,
        *,
        timeout: float = 30.0,
        data_timeout: float = 300.0,
        connections: int = 4,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self.server = SmtpServer.from_url(server) if isinstance(server, str) else server
        self.timeout = timeout
        self.data_timeout = data_timeout
        self._tls_context = tls_context
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[SMTP] = []
        self._greeted = False
        self._size_limit: int | None = None

    async def size_limit(self) -> int | None:
        """The bytes of the largest mail that the server takes, as it says itself (RFC 1870).

        Raises:
            RetryableError, NotConfiguredError: as ``send``: no server has been reached yet, and none is now.
        """
        if not self._greeted:
            async with self._slots:
                self._keep(await self._connection())
        return self._size_limit

    async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
        """Hand ``mail`` to the server; see ``EmailProvider.send``. The key is used by Resend's own server only.

        A recipient that is refused while others are taken is reported in the result and not tried again.
        """
        if self.server.host == _KNOWS_KEYS:
            mail = replace(mail, headers=(*mail.headers, ("Resend-Idempotency-Key", idempotency_key)))
        content = await asyncio.to_thread(to_bytes, mail)
        async with self._slots:
            client = await self._connection()
            try:
                refused = await self._transfer(client, mail, content)
            except (SMTPResponseException, SMTPRecipientsRefused) as error:
                if _is_nonsense(error):
                    client.close()  # what comes next could be the rest of it
                else:
                    self._keep(client)
                raise explain(error, self.server, connecting=False) from error
            except (SMTPException, OSError) as error:
                client.close()
                raise explain(error, self.server, connecting=False) from error
            except BaseException:
                client.close()  # the server may be in the middle of a mail: nothing else can use it
                raise
            self._keep(client)
        return SentMail(
            message_id=mail.message_id,
            refused={one.recipient: answer(one.code, one.message) for one in refused},
        )

    async def check(self) -> None:
        """Connect, sign in and say NOOP; nothing is sent.

        Raises:
            TorilError: as ``send`` for what concerns the server and us.
        """
        async with self._slots:
            client = await self._connection()
            try:
                await client.noop()
            except (SMTPException, OSError) as error:
                client.close()
                raise explain(error, self.server, connecting=True) from error
            except BaseException:
                client.close()
                raise
            self._keep(client)

    async def close(self) -> None:
        """Say goodbye on the connections that are not in use."""
        while self._idle:
            client = self._idle.pop()
            with contextlib.suppress(SMTPException, OSError):
                await client.quit(timeout=2.0)
            client.close()

    async def _connection(self) -> SMTP:
        while self._idle:
            client = self._idle.pop()
            try:
                # Servers drop idle connections. RSET finds out before anything of the mail is sent, and
                # clears what a refused mail left behind.
                await client.rset()
            except (SMTPException, OSError):
                client.close()
            except BaseException:
                client.close()
                raise
            else:
                return client
        client = SMTP(
            hostname=self.server.host,
            port=self.server.port,
            username=self.server.username,
            password=self.server.password,
            local_hostname=_own_name(),
            timeout=self.timeout,
            use_tls=self.server.tls == "implicit",
            start_tls={"implicit": False, "off": False, "required": True, "offered": None}[self.server.tls],
            tls_context=self._tls_context,
        )
        try:
            await client.connect()
            await _introduce(client)
            self._greeted, self._size_limit = True, _told_limit(client)
        except (SMTPException, OSError) as error:
            client.close()
            raise explain(error, self.server, connecting=True) from error
        except BaseException:
            client.close()
            raise
        return client

    def _keep(self, client: SMTP) -> None:
        if client.is_connected:
            self._idle.append(client)

    async def _transfer(self, client: SMTP, mail: Mail, content: bytes) -> list[SMTPRecipientRefused]:
        # The size lets a server refuse what is too large for it before it has travelled (RFC 1870).
        options = [f"SIZE={len(content)}"] if client.supports_extension("size") else []
        await client.mail(mail.sender.address, options=options)
        refused = []
        for recipient in mail.recipients:
            try:
                await client.rcpt(recipient)
            except SMTPRecipientRefused as error:
                refused.append(error)
        if len(refused) == len(mail.recipients):
            raise SMTPRecipientsRefused(refused)
        if not client.is_connected:
            raise SMTPServerDisconnected("the connection was lost before the mail was sent")
        try:
            await client.data(content, timeout=self.data_timeout)
        except (SMTPServerDisconnected, SMTPTimeoutError, SMTPResponseException) as error:
            if isinstance(error, SMTPResponseException) and not _is_nonsense(error):
                raise
            raise UnknownOutcomeError(
                f"SMTP server {self.server}: no clear answer after the mail was handed over ({error}); it may have "
                f"been sent. Look for Message-ID {mail.message_id} in the server's log before a retry"
            ) from error
        return refused


def _is_nonsense(error: SMTPException) -> bool:
    """Whether the server's answer was none of SMTP's."""
    return isinstance(error, SMTPResponseException) and error.code == SMTPStatus.invalid_response


def _told_limit(client: SMTP) -> int | None:
    told = client.esmtp_extensions.get("size", "").strip() if client.supports_extension("size") else ""
    return int(told) or None if told.isascii() and told.isdigit() else None  # 0 is no limit


async def _introduce(client: SMTP) -> None:
    """Say EHLO if logging in or STARTTLS did not, so that the server's extensions are known."""
    if client.is_ehlo_or_helo_needed:
        try:
            await client.ehlo()
        except SMTPHeloError:
            await client.helo()


def _own_name() -> str:
    """What to introduce ourselves as: our full name, or an address literal, as RFC 5321 asks for."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"
