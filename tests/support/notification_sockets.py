"""A Socket.IO server as the web application runs one, and windows that are connected to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio as redis_asyncio
import socketio  # type: ignore[import-untyped]
import uvicorn
from tests.support.until import until

from toril.queues.notification import user_room


class Window:
    """A connected client that keeps the notifications it gets."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.client.on("notification", self.events.put)

    async def next_event(self, *, within_s: float = 10.0) -> Any:
        async with asyncio.timeout(within_s):
            return await self.events.get()


@asynccontextmanager
async def socket_server(redis_url: str, channel: str) -> AsyncIterator[str]:
    """Run a server that listens for events on ``channel``; gives its URL. Who connects says who they are.

    It begins to listen with the first window.
    """
    manager = socketio.AsyncRedisManager(redis_url, channel=channel)
    server = socketio.AsyncServer(async_mode="asgi", client_manager=manager)

    @server.event  # type: ignore[untyped-decorator]
    async def connect(sid: str, environ: Any, auth: dict[str, str]) -> None:
        await server.enter_room(sid, user_room(auth["user"]))

    config = uvicorn.Config(
        socketio.ASGIApp(server), host="127.0.0.1", port=0, ws="wsproto", lifespan="off", log_level="error"
    )
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve())
    try:

        async def started() -> bool:
            return running.started

        await until(started, within_s=60)
        yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    finally:
        running.should_exit = True
        await task
        if manager.redis is not None:
            manager.thread.cancel()
            await asyncio.gather(manager.thread, return_exceptions=True)
            await manager.pubsub.aclose()
            await manager.redis.aclose()


@asynccontextmanager
async def window(url: str, user_id: str) -> AsyncIterator[Window]:
    """A window of a user, connected."""
    opened = Window()
    await opened.client.connect(url, auth={"user": user_id}, transports=["websocket"])
    try:
        yield opened
    finally:
        await opened.client.disconnect()


async def wait_for_listener(redis_url: str, channel: str) -> None:
    """Return when a server listens on ``channel``; what is sent before is lost."""
    client = redis_asyncio.from_url(redis_url)
    try:

        async def heard() -> bool:
            return bool((await client.pubsub_numsub(channel))[0][1])

        await until(heard, within_s=60)
    finally:
        await client.aclose()
