"""Mail by the HTTP API of Resend (https://resend.com)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

import toril
from toril.errors import ConfigurationError, RetryableError, UnrecoverableError
from toril.queues.email.message import Mail
from toril.queues.email.providers.base import NotSentError, SentMail
from toril.queues.email.providers.resend_batch import batch_outcomes
from toril.queues.email.providers.resend_errors import Refusal, explain, explain_batch

#: The request cannot have reached Resend.
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class ResendProvider:
    """Sends by Resend.

    Resend remembers an idempotency key for 24 hours and answers a repeated request without sending again, so
    a request whose answer was lost is retried with the same key.

    Args:
        api_key: ``re_…``; needs the scope "sending".
        base_url: another address, for a proxy or a test; https unless it is this machine.
        connect_timeout, read_timeout: seconds for connecting, and for each read or write.
        total_timeout: seconds for one request in all, 40 MB of attachments included.
        connections: at most this many at a time; more mails wait for one.
        per_second: requests that the account allows, counted over a whole team: 2 unless Resend has granted more.
    """

    batch_size = 100

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str | None = None,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        total_timeout: float = 120.0,
        connections: int = 10,
        per_second: float = 2.0,
    ) -> None:
        api_key = api_key.strip()
        if not api_key or not api_key.isascii() or not api_key.isprintable():
            raise ConfigurationError("RESEND_API_KEY must be a key as Resend shows it, re_ and letters")
        base_url = base_url or "https://api.resend.com"
        parts = urlsplit(base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ConfigurationError(f"base_url {base_url!r} must be https, or the key would travel in clear")
        self.total_timeout = total_timeout
        self.per_second = per_second
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={
                "Authorization": f"Bearer {api_key}",
                "Content-Type": "application/json",
                "User-Agent": f"toril/{toril.__version__}",
            },
            timeout=httpx.Timeout(read_timeout, connect=connect_timeout, pool=total_timeout),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=False,
        )

    async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
        """Hand ``mail`` to Resend; see ``EmailProvider.send``.

        Args:
            idempotency_key: 1 to 256 printable ASCII characters.
        """
        body = await asyncio.to_thread(lambda: orjson.dumps(_message(mail)))
        response = await self._post("/emails", body, {"Idempotency-Key": idempotency_key})
        if not response.is_success:
            raise explain(Refusal.read(response))
        return SentMail(message_id=_message_id(response))

    async def send_batch(
        self, mails: Sequence[Mail], *, idempotency_key: str
    ) -> Sequence[SentMail | UnrecoverableError]:
        """Hand up to 100 mails to Resend in one request; see ``BatchEmailProvider``."""
        body = await asyncio.to_thread(lambda: orjson.dumps([_message(mail) for mail in mails]))
        headers = {"Idempotency-Key": idempotency_key, "x-batch-validation": "permissive"}
        response = await self._post("/emails/batch", body, headers)
        if not response.is_success:
            raise explain_batch(Refusal.read(response))
        return batch_outcomes(response, len(mails))

    async def check(self) -> None:
        """Ask Resend for a mail's name, which tells whether it takes our key; nothing is sent.

        Raises:
            TorilError: as ``send`` for what concerns Resend and us.
        """
        response = await self._ask(self._client.get("/emails", params={"limit": 1}))
        if not response.is_success:
            refusal = Refusal.read(response)
            if refusal.name != "restricted_api_key":  # one that may send, and nothing else
                raise explain(refusal)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return await self._ask(self._client.post(path, content=body, headers=headers))

    async def _ask(self, asking: Awaitable[httpx.Response]) -> httpx.Response:
        try:
            async with asyncio.timeout(self.total_timeout):
                return await asking
        except _BEFORE_SENDING as error:
            raise NotSentError(f"Resend could not be reached ({_describe(error)})") from error
        except (httpx.RequestError, TimeoutError) as error:
            # Whether it was sent or not, the same key makes another attempt safe.
            raise RetryableError(f"Resend did not answer ({_describe(error)})") from error


def _message(mail: Mail) -> dict[str, Any]:
    # No date and nothing random: another attempt must be the same, byte for byte.
    message: dict[str, Any] = {
        "from": str(mail.sender),
        "to": [str(box) for box in mail.to],
        "subject": mail.subject,
    }
    if mail.html:
        message["html"] = mail.html
    if mail.text:
        message["text"] = mail.text
    for field, boxes in (("cc", mail.cc), ("bcc", mail.bcc), ("reply_to", mail.reply_to)):
        if boxes:
            message[field] = [str(box) for box in boxes]
    # Ours, so that a mail that came by another way too is shown once.
    message["headers"] = {"Message-ID": mail.message_id, **dict(mail.headers)}
    if mail.tags:
        message["tags"] = [{"name": name, "value": value} for name, value in mail.tags]
    if mail.attachments:
        message["attachments"] = [
            {
                "filename": attached.filename,
                "content": base64.b64encode(attached.content).decode("ascii"),
                "content_type": attached.content_type,
            }
            | ({"content_id": attached.content_id} if attached.content_id else {})
            for attached in mail.attachments
        ]
    return message


def _message_id(response: httpx.Response) -> str:
    try:
        found = orjson.loads(response.content)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        found = None
    if not isinstance(found, str) or not found:
        # Resend replays its first answer for the same key, so asking again is safe, and tells us the id.
        raise RetryableError("Resend took the mail, but its answer holds no id; asking again")
    return found


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
