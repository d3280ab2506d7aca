"""Requests to outside services: one client a service, with limits, and errors that say whether to try again.

The client knows nothing of any service. It returns every answer that came whole, whatever its status; what a
status means is said in ``vendor_errors`` and by the service's own module. Requests are never repeated here:
the queue does that.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx

import toril
from toril.errors import (
    ConfigurationError,
    NotConfiguredError,
    RetryableError,
    TorilError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.sync.unpacking import ACCEPTED, unpacker
from toril.queues.sync.vendor_answer import VendorAnswer, redact

log = logging.getLogger("toril.queues.sync")

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}

#: The request cannot have reached the service.
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

_asking: ContextVar[bool] = ContextVar("toril_asking_a_vendor", default=False)


class _OurRequests(logging.Filter):
    """Holds back httpx's own line about a request, which shows the whole URL; ``vendor_answered`` replaces it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _asking.get()


logging.getLogger("httpx").addFilter(_OurRequests())


class NotSentError(RetryableError):
    """The request cannot have reached the service: trying again is safe whatever it was."""


class VendorClient:
    """An HTTP client of one outside service; safe to share among jobs. Close it when its worker stops.

    Redirects are not followed, as a secret would travel with them.

    Args:
        vendor: the service's name, as people know it.
        base_url: https, unless it is this machine; paths are added to it.
        headers: sent with every request; no secrets.
        connect_timeout, read_timeout: seconds for connecting, and for each read or write.
        total_timeout: seconds for one request in all; keep it below the job's own limit.
        body_limit: the most bytes of an answer, unpacked.
        connections: at most this many at a time; more requests wait for one.
        verify: a TLS context, such as one with a client certificate.
        transport: instead of the network, such as ``httpx.MockTransport``.
    Raises:
        ConfigurationError: ``base_url`` is not acceptable.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        total_timeout: float = 45.0,
        body_limit: int = 10 * 2**20,
        connections: int = 10,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ConfigurationError(
                f"{vendor}: the base URL must be https, or secrets would travel in clear; it begins with "
                f"{parts.scheme or 'nothing'}://{parts.hostname or ''}"
            )
        self.vendor = vendor
        self.total_timeout = total_timeout
        self.body_limit = body_limit
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={
                "Accept": "application/json",
                "Accept-Encoding": ACCEPTED,
                "User-Agent": f"toril/{toril.__version__}",
            }
            | dict(headers or {}),
            timeout=httpx.Timeout(read_timeout, connect=connect_timeout, pool=total_timeout),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # One client serves all firms: what a service sets for one must not go out for another.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            verify=verify,
            transport=transport,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        repeatable: bool,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        auth: tuple[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> VendorAnswer:
        """Send one request and read the whole answer.

        Args:
            path: added to the base URL. It may hold a key: it is neither logged nor put into messages.
            operation: what is being done, for messages and logs: ``reading a payment``.
            repeatable: sending it again does no harm: a read, or a write that carries a key or whose bytes the
                service recognises. Decides what a lost answer means.
            secret_headers: sent like ``headers``, and blotted out wherever the service repeats them.
            secrets: further texts to blot out, such as a key in the path.
            auth: name and password for HTTP Basic.
            json, form, content: the body, at most one of them.
        Raises:
            NotSentError: nothing was sent.
            RetryableError: no answer came, and the request is repeatable.
            UnknownOutcomeError: it may have been done, no answer came, and it is not repeatable.
            NotConfiguredError: a secret cannot be sent, as it is none that the service could have given.
        """
        hidden = tuple(secrets) + _parts(secret_headers or {}) + tuple(auth or ())
        all_headers = self._headers({**(headers or {}), **(secret_headers or {})})
        sending = _Sending()
        began = time.monotonic()
        token = _asking.set(True)
        try:
            async with asyncio.timeout(self.total_timeout):
                async with self._client.stream(
                    method,
                    path,
                    params=params,
                    headers=all_headers,
                    auth=None if auth is None else httpx.BasicAuth(*auth),
                    json=json,
                    data=form,
                    content=content,
                    extensions={"trace": sending.trace},
                ) as response:
                    body = await self._read(response, operation=operation, repeatable=repeatable)
        except (httpx.RequestError, httpx.InvalidURL, TimeoutError) as error:
            raise self._lost(
                error, operation, repeatable=repeatable, sent=sending.begun, hidden=hidden
            ) from None
        finally:
            _asking.reset(token)
        log.info(
            "vendor_answered",
            extra={
                "vendor": self.vendor,
                "operation": operation,
                "status": response.status_code,
                "took_ms": round((time.monotonic() - began) * 1000),
            },
        )
        return VendorAnswer(
            vendor=self.vendor,
            operation=operation,
            status=response.status_code,
            headers=response.headers,
            content=body,
            repeatable=repeatable,
            secrets=hidden,
        )

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        await self._client.aclose()

    def _headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in headers.items():
            # h11 and httpx would repeat the value, a secret perhaps, in their message.
            if not value.isascii() or not value.isprintable() or value != value.strip():
                raise NotConfiguredError(
                    f"{self.vendor}: the value for the header {name} has characters that cannot be sent; it is none "
                    "that the service could have given. Set it again"
                )
        return headers

    async def _read(self, response: httpx.Response, *, operation: str, repeatable: bool) -> bytes:
        body = bytearray()
        packed = unpacker(response.headers.get("content-encoding", ""))
        async for chunk in response.aiter_raw():
            body += packed.unpack(chunk, self.body_limit + 1 - len(body))
            if len(body) > self.body_limit:
                kind: type[TorilError] = UnrecoverableError if repeatable else UnknownOutcomeError
                raise kind(
                    f"{self.vendor}: the answer (HTTP {response.status_code}) to {operation} has more than "
                    f"{self.body_limit} bytes, and was not read"
                )
        packed.end()
        return bytes(body)

    def _lost(
        self, error: Exception, operation: str, *, repeatable: bool, sent: bool, hidden: tuple[str, ...]
    ) -> TorilError:
        if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
            # Their texts repeat what was wrong, which may be a secret.
            return NotConfiguredError(
                f"{self.vendor}: {operation} makes no valid request ({type(error).__name__}); check the base URL and "
                "the credentials"
            )
        text = redact(" ".join(str(error).split())[:300], hidden)
        named = f"{type(error).__name__}: {text}" if text else type(error).__name__
        if isinstance(error, TimeoutError):
            named = f"no whole answer within {self.total_timeout:g} s"
        if isinstance(error, _BEFORE_SENDING) or (isinstance(error, TimeoutError) and not sent):
            return NotSentError(f"{self.vendor} could not be reached; {operation} was not sent ({named})")
        if repeatable:
            return RetryableError(
                f"{self.vendor} did not answer {operation} ({named}); sending it again is safe"
            )
        return UnknownOutcomeError(
            f"{self.vendor} did not answer {operation} ({named}), so it may have been done. It is not sent again: look "
            f"it up at {self.vendor}"
        )


class _Sending:
    """Hears from httpcore how far a request is."""

    def __init__(self) -> None:
        self.begun = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started"):
            self.begun = True


def _parts(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Whole values, and what follows a scheme such as Bearer."""
    return tuple(headers.values()) + tuple(
        value.partition(" ")[2] for value in headers.values() if " " in value
    )
