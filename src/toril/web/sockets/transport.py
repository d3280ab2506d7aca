"""The wire under Socket.IO: requests and WebSockets, how many, how slow, and how one is cut."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from toril.web.answers import failure
from toril.web.middleware.body_limit import BodyLimit
from toril.web.middleware.deadline import Deadline

#: Connections of one process, those included that nobody has signed in on yet.
MOST: Final = 10_000

#: Seconds a client may take to accept one message.
SEND_WITHIN: Final = 10.0

#: Bytes of a request's body: a few messages at once.
LARGEST_BODY: Final = 64 * 1024

#: Seconds until a request that waits for events is answered: the library does so with a ping every 25 s.
POLL_WITHIN: Final = 60.0

_KEY: Final = "toril.cut"


class Transport:
    """Answers what comes for ``/socket.io/``.

    The library has no way to end a WebSocket whose client does not want to, so each gets an event that makes it look as
    if the client had gone.

    Args:
        server: python-socketio's, with its ``eio`` beneath.
    """

    def __init__(self, server: Any, *, most: int = MOST, send_within: float = SEND_WITHIN) -> None:
        self._server, self._most, self._send_within = server, most, send_within
        self._upgraded: dict[str, asyncio.Event] = {}  # those that began as requests, by their id
        self._running: set[asyncio.Event] = set()
        self.closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        sid = query["sid"][0] if "sid" in query else None
        if self.closed or (sid is None and len(self._server.eio.sockets) >= self._most):
            await _turn_away(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve_websocket(sid, scope, receive, send)
        else:
            socket = self._server.eio.sockets.get(sid)
            await self._server.handle_request(scope, receive, send)
            if socket is not None and socket.closed:
                await socket.queue.put(None)  # a request that waits for events would go on to wait

    async def cut(self, eio_sid: str) -> None:
        """End a connection, whatever its client does."""
        event = self._upgraded.get(eio_sid) or self._of_environ(eio_sid)
        socket = self._server.eio.sockets.get(eio_sid)
        if socket is not None:
            await socket.close(wait=False)
        if event is not None:
            event.set()

    def close(self) -> None:
        """End all of them, and let nobody in any more."""
        self.closed = True
        for event in self._running:
            event.set()

    def _of_environ(self, eio_sid: str) -> asyncio.Event | None:
        scope = self._server.environ.get(eio_sid, {}).get("asgi.scope", {})
        event: asyncio.Event | None = scope.get(_KEY)
        return event

    async def _serve_websocket(self, sid: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        cut = asyncio.Event()
        self._running.add(cut)
        if sid is None:
            scope[_KEY] = cut
        elif sid not in self._upgraded:  # another's id is of no use: its socket takes no second one
            self._upgraded[sid] = cut

        async def hear() -> Message:
            hearing = asyncio.ensure_future(receive())
            cutting = asyncio.ensure_future(cut.wait())
            try:
                await asyncio.wait((hearing, cutting), return_when=asyncio.FIRST_COMPLETED)
                return hearing.result() if hearing.done() else {"type": "websocket.disconnect", "code": 1008}
            finally:
                for task in (hearing, cutting):
                    task.cancel()

        async def tell(message: Message) -> None:
            try:
                async with asyncio.timeout(self._send_within):
                    await send(message)
            except TimeoutError:
                cut.set()
                raise

        try:
            await self._server.handle_request(scope, hear, tell)
        finally:
            self._running.discard(cut)
            if sid is not None and self._upgraded.get(sid) is cut:
                del self._upgraded[sid]


class SocketPath:
    """Middleware: hands what comes for ``path`` to the sockets of the running application.

    It comes before all others, since these are about answers that begin soon, end soon and have a line in the log. What
    a client sends has a limit in bytes and seconds all the same, and so has a request that waits for events.
    """

    def __init__(self, app: ASGIApp, *, path: str) -> None:
        self._app, self._path = app, path
        limited = BodyLimit(_answer, limits={"": LARGEST_BODY})
        self._sent, self._awaited = Deadline(limited), Deadline(limited, seconds=POLL_WITHIN)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and f"{scope['path']}/".startswith(self._path):
            waits = scope["type"] == "http" and scope["method"] == "GET"
            await (self._awaited if waits else self._sent)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    await scope["app"].state.toril.sockets.answer(scope, receive, send)


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    text = "this server takes no more connections at the moment: try again shortly"
    if scope["type"] == "http":
        await failure(503, "overloaded", text, headers={"Retry-After": "2"})(scope, receive, send)
        return
    with contextlib.suppress(OSError):
        await send({"type": "websocket.close", "code": 1013, "reason": text})
