"""The HTTP side as a part of ``toril serve``: from its socket to its last answer."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import uvicorn

from toril.cli.exits import CommandError, ExitCode
from toril.cli.http_connection import HttpConnection
from toril.errors import QueueUnavailableError
from toril.settings import Settings
from toril.web.app import create_app
from toril.web.auth.people import FIRST_ADMIN, make_first_admin

if TYPE_CHECKING:
    from toril.web.context import Web

log = logging.getLogger("toril.cli")

#: Bytes of a message on a WebSocket, before anybody has looked at it.
_LARGEST_MESSAGE: Final = 64 * 1024

#: Seconds that answers which are on their way get when the server stops.
_FINISH_WITHIN: Final = 5


class _Server(uvicorn.Server):
    """Leaves signals to us: the workers beside it must hear of them too."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    """Serves the application on one address.

    Args:
        settings: of the application.
        listening: the socket; see ``listen``.

    Attributes:
        first_password: of the first administrator, if it was made at this start.
    """

    def __init__(self, settings: Settings, listening: socket.socket) -> None:
        self._settings, self._socket = settings, listening
        self._app = create_app(settings)
        self._server = _Server(
            uvicorn.Config(
                self._app,
                http=HttpConnection,
                lifespan="off",  # ours: an error of it must reach whoever started us
                log_config=None,
                access_log=False,
                server_header=False,
                ws_max_size=_LARGEST_MESSAGE,
                proxy_headers=settings.trusted_proxies is not None,
                forwarded_allow_ips=settings.trusted_proxies,
                timeout_graceful_shutdown=_FINISH_WITHIN,
            )
        )
        self._open = AsyncExitStack()
        self._serving: asyncio.Task[None] | None = None
        self.first_password: str | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def running(self) -> int:
        """Jobs that a stop would interrupt: none."""
        return 0

    async def start(self) -> None:
        """Open the installation and answer requests.

        Raises:
            TorilError: the installation cannot be opened.
        """
        await self._open.enter_async_context(self._app.router.lifespan_context(self._app))
        web: Web = self._app.state.toril
        self.first_password = await make_first_admin(web.installation.database)
        if self._settings.secret is None and not _is_local(self._socket.getsockname()[0]):
            log.warning(
                "secret_was_made_up: set TORIL_SECRET, as other machines can reach this one and processes elsewhere "
                "would not know the same secret",
                extra={"kept_in": str(self._settings.home / "secret")},
            )
        with contextlib.suppress(QueueUnavailableError):  # it may come later; requests say so until then
            await next(iter(web.installation.service.queues.values())).counts()
        self._serving = asyncio.create_task(self._server.serve([self._socket]), name="toril-http")
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                raise CommandError("the HTTP server did not start", exit=ExitCode.FAILED, code="http")
            await asyncio.sleep(0.01)

    def tell_start(self) -> list[str]:
        """What to say once it answers."""
        lines = [f"HTTP on {self.url}"]
        if self.first_password is not None:
            lines.append(
                f"First administrator: {FIRST_ADMIN}, password {self.first_password} (shown this once; "
                f"change it with: toril users reset-password {FIRST_ADMIN})"
            )
        return lines

    def hurry(self) -> None:
        """While closing: wait for answers no longer."""
        self._server.force_exit = True

    async def close(self) -> None:
        """Take no more requests, let answers that are on their way end, and close the installation."""
        web: Web | None = getattr(self._app.state, "toril", None)
        if web is not None:
            web.feeds.close()  # their readers would be waited for
            await web.sockets.close()  # and their clients
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self._socket.close()
        await self._open.aclose()


def listen(host: str, port: int) -> socket.socket:
    """A socket on this address, taken before anything else starts.

    Args:
        port: 0 for any that is free.

    Raises:
        CommandError: somebody else has it, or the address is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(1024)
        except OSError:
            listening.close()
            raise
        return listening
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        raise CommandError(
            f"port {port} of {host} is in use"
            if in_use
            else f"cannot listen on port {port} of {host}: {error.strerror or error}",
            exit=ExitCode.FAILED,
            code="port_in_use" if in_use else "cannot_listen",
            hint="end the program that listens there, or set PORT or --port to another"
            if in_use
            else "set TORIL_HOST and PORT, or --host and --port, to an address of this machine",
        ) from error


def _is_local(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
