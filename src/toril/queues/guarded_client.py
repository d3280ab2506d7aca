"""HTTP requests to addresses that people give us: only where the guard allows, within limits."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpx

import toril
from toril.errors import RetryableError, UnrecoverableError
from toril.queues.ssrf import BlockedAddressError, Guard, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedAnswer:
    """What came back.

    Attributes:
        headers: by name in lower case; of several with one name the last counts.
        content: the body, or its beginning.
        is_whole: whether the body ended within the limit.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    is_whole: bool

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def said(self) -> str:
        """The beginning of the body on one line, for messages; without what cannot be shown, or stored, such as NUL."""
        text = " ".join(self.content[:500].decode("utf-8", "replace").split())
        return "".join(char for char in text if char.isprintable())[:200]


class GuardedClient:
    """Sends requests where a ``Guard`` allows. Close it when its worker stops.

    Connects to the addresses that the guard has checked; the name stays in the ``Host`` header and in TLS, whose
    certificate is verified against it. Takes neither proxies nor passwords from the environment, and keeps no cookies.

    Args:
        connect_timeout: seconds for connecting to one address.
        body_limit: bytes of an answer that are read; then the connection is closed.
        connections: at most this many at a time; more requests wait for one.
        tls: for certificates the system does not know.
    """

    def __init__(
        self,
        guard: Guard | None = None,
        *,
        connect_timeout: float = 5.0,
        body_limit: int = 64 * 1024,
        connections: int = 100,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.guard = guard or Guard()
        self.body_limit = body_limit
        self._timeouts = {"connect": connect_timeout}
        context = tls or httpx.create_ssl_context()
        # One for each scheme, since what may be called depends on it, and a connection is not told it.
        self._pools = {
            scheme: httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=5.0,
                network_backend=_CheckedAddresses(self.guard, scheme),
            )
            for scheme in ("https", "http")
        }

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        within: float = 10.0,
    ) -> GuardedAnswer:
        """Send one request, and return what came back, whatever its status. Redirects are never followed.

        Args:
            within: seconds for all of it.

        Raises:
            BlockedAddressError: the guard does not allow ``url``.
            RetryableError: it could not be reached, or gave no answer within the time. It may have got the request.
            UnrecoverableError: a header cannot be sent.
        """
        target = self.guard.parse(url)
        try:
            async with asyncio.timeout(within):
                return await self._send(method, target, headers or {}, content)
        except TimeoutError:
            raise RetryableError(f"{target.origin} did not answer within {within:g} s") from None

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        for pool in self._pools.values():
            await pool.aclose()

    async def _send(
        self, method: str, target: Target, headers: Mapping[str, str], content: bytes
    ) -> GuardedAnswer:
        all_headers = {
            "host": target.authority,
            "user-agent": f"toril/{toril.__version__}",
            "accept": "*/*",
            "accept-encoding": "identity",  # a few packed bytes could be gigabytes
            "content-length": str(len(content)),
        } | {name.lower(): value for name, value in headers.items()}
        body = bytearray()
        try:
            async with self._pools[target.scheme].stream(
                method,
                httpcore.URL(
                    scheme=target.scheme.encode(),
                    host=target.host.encode(),
                    port=target.port,
                    target=target.path.encode(),
                ),
                headers=[
                    (name.encode("ascii"), value.encode("latin-1")) for name, value in all_headers.items()
                ],
                content=content,
                extensions={"timeout": self._timeouts},
            ) as response:
                async for chunk in response.aiter_stream():
                    body += chunk
                    if len(body) > self.body_limit:
                        break
        except (httpcore.LocalProtocolError, UnicodeEncodeError):
            raise UnrecoverableError(f"{target.origin}: a header cannot be sent as it is") from None
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise RetryableError(_describe(target, error)) from None
        return GuardedAnswer(
            status=response.status,
            headers={
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
            },
            content=bytes(body[: self.body_limit]),
            is_whole=len(body) <= self.body_limit,
        )


class _CheckedAddresses(httpcore.AsyncNetworkBackend):
    """Opens connections to what the guard returns for a host, one address after the other."""

    def __init__(self, guard: Guard, scheme: str) -> None:
        self._guard, self._scheme = guard, scheme
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._guard.addresses(host, scheme=self._scheme, port=port)
        deadline = time.monotonic() + (timeout or 5.0)
        failure: Exception = httpcore.ConnectTimeout()
        for address in addresses:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                return await self._network.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise BlockedAddressError("a socket of this machine cannot be called")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


def _describe(target: Target, error: Exception) -> str:
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{target.origin}: its certificate does not verify ({cause.verify_message})"
    if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout):
        return f"{target.origin} could not be reached ({type(error).__name__})"
    return f"{target.origin} gave no whole answer ({type(error).__name__})"
