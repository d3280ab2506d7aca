"""The Socket.IO server: who is let in, what each is told, and when they have to go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import socketio  # type: ignore[import-untyped]
from socketio.packet import Packet  # type: ignore[import-untyped]
from starlette.types import Receive, Scope, Send

from toril.errors import TorilError
from toril.installation import Installation
from toril.queues.notification.live import firm_room, user_room
from toril.settings import Settings
from toril.web.auth.access import TRUSTED_FOR, Access
from toril.web.auth.principal import Scope as KeyScope
from toril.web.errors import Forbidden, HttpError, NotAuthenticated
from toril.web.sockets.clients import Client, Clients, find_ended
from toril.web.sockets.job_news import JobNews, News
from toril.web.sockets.known_owners import KnownOwners
from toril.web.sockets.relay import Relay
from toril.web.sockets.transport import Transport

log = logging.getLogger("toril.web.sockets")

#: Where it is reached.
PATH: Final = "/socket.io/"

#: Bytes of a client's message: all it sends is a token.
LARGEST_MESSAGE: Final = 16 * 1024

#: Events that wait for a client which takes them too slowly; then it has to go, and reads what it missed anew.
MOST_WAITING: Final = 500

#: Seconds a connection has to sign in.
SIGN_IN_WITHIN: Final = 10.0

#: Seconds between two looks at whether all sign-ins are still good.
LOOK_EVERY: Final = TRUSTED_FOR

#: Seconds that whoever connects waits until what happens is heard.
_READY_WITHIN: Final = 0.25

#: Seconds after the last client has gone for which the queues are listened to.
_LINGER: Final = 60.0

#: The library logs every message, tokens included, and puts mistakes of clients among the errors.
_unheard = logging.getLogger("toril.web.sockets.socketio")
_unheard.setLevel(logging.CRITICAL)


class Sockets:
    """Live events for the clients of this process. ``start`` it in the event loop that serves.

    Args:
        access: knows whom a token speaks for.
    """

    def __init__(self, settings: Settings, installation: Installation, access: Access) -> None:
        self._database, self._access = installation.database, access
        self._origins = _origins(settings)
        self._server: Any = socketio.AsyncServer(
            async_mode="asgi",
            async_handlers=False,  # a client's events one after the other, so that it cannot flood us
            cors_allowed_origins=self._allows_origin,
            cors_credentials=False,
            serializer=_Packet,
            max_http_buffer_size=LARGEST_MESSAGE,
            logger=_unheard,
            engineio_logger=_unheard,
        )
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("authenticate", self._authenticate)
        self._transport = Transport(self._server)
        self._clients = Clients()
        self._relay = Relay(
            settings.redis_url, home=settings.home, channel=settings.socketio_channel, tell=self._emit
        )
        self._jobs = JobNews(
            installation.service.queues, KnownOwners(self._database), self._tell_of_job, self._tell_missed
        )
        self._unnamed: dict[str, float] = {}  # connections that nobody has signed in on, and since when
        self._empty_since = time.monotonic()
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, and to look after the clients."""
        self._relay.start()
        self._looking = asyncio.create_task(self._look_after(), name="toril-sockets")

    async def close(self) -> None:
        """Disconnect all clients, and let nobody in any more. May be called twice."""
        looking, self._looking = self._looking, None
        if looking is None:
            return
        looking.cancel()
        await asyncio.wait([looking])
        self._transport.closed = True
        for client in self._clients:
            with contextlib.suppress(Exception):
                await self._server.disconnect(client.sid)
        for eio_sid in list(self._server.eio.sockets):
            await self._transport.cut(eio_sid)
        self._transport.close()
        await self._jobs.rest()
        await self._relay.close()
        await self._server.shutdown()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket, as an ASGI application does."""
        await self._transport(scope, receive, send)

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        if not self._server.manager.is_pre_connected(sid, "/"):
            return  # an event of a client, which it has called so
        try:
            client = await self._admit(sid, _token_of(auth) or _bearer_of(environ))
            self._clients.add(client)
        except TorilError as error:
            code, message = _told(error)
            raise socketio.exceptions.ConnectionRefusedError(message, {"code": code}) from None
        await self._server.enter_room(sid, user_room(client.user.user_id))
        if client.user.firm_id is not None:
            await self._server.enter_room(sid, firm_room(client.user.firm_id))
        await asyncio.gather(self._relay.ready(_READY_WITHIN), self._jobs.listen(_READY_WITHIN))
        log.debug("socket_connected", extra={"user": client.user.user_id, "clients": len(self._clients)})

    async def _disconnect(self, sid: str, *_: Any) -> None:
        if not self._server.manager.is_connected(
            sid, "/"
        ):  # else an event of a client, which it has called so
            self._clients.remove(sid)

    async def _authenticate(self, sid: str, *data: Any) -> dict[str, Any]:
        """Go on with a newer token; the answer is in the envelope of the API."""
        present = self._clients.get(sid)
        try:
            newer = await self._admit(sid, _token_of(data[0] if data else None))
            if present is None:
                raise NotAuthenticated("this connection has ended: connect again")
            if (newer.user.user_id, newer.user.firm_id) != (present.user.user_id, present.user.firm_id):
                raise Forbidden("this token is another user's: connect anew for them", code="other_user")
            present.user, present.expires_at = newer.user, newer.expires_at
        except TorilError as error:
            code, message = _told(error)
            return {"success": False, "error": {"code": code, "message": message}}
        return {"success": True}

    async def _admit(self, sid: str, token: str | None) -> Client:
        if token is None:
            raise NotAuthenticated("sign in first: connect with auth {token}, an access token or an API key")
        user = await self._access.authenticate(token)
        if not user.allows(KeyScope.RECORDS_READ):
            raise Forbidden(f"this API key has not the scope {KeyScope.RECORDS_READ}")
        expires_at = float("inf") if user.session_id is None else self._access.tokens.check(token).expires_at
        return Client(sid, user, expires_at)

    async def _emit(self, event: str, data: Any, room: str | None = None) -> None:
        try:
            hearers = list(self._server.manager.get_participants("/", room))
            if not hearers:
                return
            for sid, eio_sid in hearers:
                socket = self._server.eio.sockets.get(eio_sid)
                if socket is not None and socket.queue.qsize() >= MOST_WAITING:
                    log.info("socket_too_slow", extra={"waiting": socket.queue.qsize()})
                    self._clients.remove(sid)
                    await self._transport.cut(eio_sid)
            await self._server.emit(event, data, room=room)
        except Exception:
            log.exception("socket_event_failed", extra={"event": event})

    async def _tell_of_job(self, user_id: str, news: News) -> None:
        await self._emit("job", news, user_room(user_id))

    async def _tell_missed(self, queue: str) -> None:
        await self._emit("missed", {"of": "jobs", "queueName": queue})

    async def _look_after(self) -> None:
        while True:
            left = self._clients.next_end() - time.time()
            await asyncio.sleep(min(LOOK_EVERY, max(0.2, left)))
            try:
                await self._look()
            except TorilError as error:  # tokens expire all the same
                log.warning("sign_ins_not_looked_up: %s", error, extra={"code": error.code})
            except Exception:
                log.exception("sockets_look_failed")

    async def _look(self) -> None:
        manager = self._server.manager
        for client in self._clients:
            pending = manager.is_pre_connected(client.sid, "/")
            if not pending and not manager.is_connected(client.sid, "/"):  # went before it was all in
                self._clients.remove(client.sid)
            elif client.expires_at <= time.time():
                error = NotAuthenticated("the access token has expired", code="token_expired")
                await self._end(client, error)
        await self._cut_unnamed()
        if len(self._clients):
            self._empty_since = time.monotonic()
            for client in await find_ended(self._database, list(self._clients)):
                error = NotAuthenticated("this sign-in has ended: sign in again", code="session_ended")
                await self._end(client, error)
        elif time.monotonic() - self._empty_since > _LINGER:
            await self._jobs.rest()

    async def _end(self, client: Client, error: HttpError) -> None:
        """Tell a client why it has to go, and take it out of all rooms. If it stays all the same, it is cut later."""
        self._clients.remove(client.sid)
        await self._emit("session:ended", {"code": error.code, "message": str(error)}, client.sid)
        await self._server.disconnect(client.sid)

    async def _cut_unnamed(self) -> None:
        now = time.monotonic()
        manager = self._server.manager
        unnamed = [sid for sid in self._server.eio.sockets if manager.sid_from_eio_sid(sid, "/") is None]
        self._unnamed = {sid: self._unnamed.get(sid, now) for sid in unnamed}
        for eio_sid, since in self._unnamed.items():
            if now - since >= SIGN_IN_WITHIN:
                await self._transport.cut(eio_sid)

    def _allows_origin(self, origin: str, environ: dict[str, Any]) -> bool:
        # Whatever is in front of us may end TLS, so the scheme is no reason.
        return origin in self._origins or urlsplit(origin).netloc == environ.get("HTTP_HOST")


class _Json:
    """JSON as the API writes it, for the library."""

    @staticmethod
    def dumps(data: Any, **_: Any) -> str:
        try:
            return orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # integers past 64 bits and halves of surrogate pairs
            return json.dumps(data)

    @staticmethod
    def loads(text: str | bytes) -> Any:
        return orjson.loads(text)


class _Packet(Packet):  # type: ignore[misc]
    json = _Json


def _origins(settings: Settings) -> frozenset[str]:
    own = urlsplit(settings.reached_at())
    return frozenset(
        (*(origin.rstrip("/") for origin in settings.cors_origins), f"{own.scheme}://{own.netloc}")
    )


def _token_of(data: Any) -> str | None:
    token = data.get("token") if isinstance(data, dict) else None
    return token.strip() if isinstance(token, str) and token.strip() else None


def _bearer_of(environ: dict[str, Any]) -> str | None:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _told(error: TorilError) -> tuple[str, str]:
    """Code and message for a client."""
    if isinstance(error, HttpError):
        return error.code, str(error)
    log.warning("socket_sign_in_failed: %s", error, extra={"code": error.code})
    return error.code, "nobody can be signed in at the moment: try again shortly"
