"""An HTTP server on a loopback port that plays an outside service, and that can fail in every way a service does."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class VendorRequest:
    """One request as it came. ``path`` is without the query; header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What to send; ``body`` as JSON unless it is bytes."""

    status: int
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        kind = "text/html" if body.startswith(b"<") else "application/json"
        given = {"content-type": kind, "content-length": str(len(body))} | self.headers
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return f"HTTP/1.1 {self.status} x\r\n{head}\r\n".encode() + body


HTML = Reply(200, b"<html><body>Please wait</body></html>")


@dataclass
class VendorServer:
    """The server, what it was asked, and its script.

    Attributes:
        answer: does the service's work.
        script: taken from the front, one for each request: a ``Reply`` instead of the work, or

            - ``"drop"``: do the work, then cut the connection
            - ``"refuse"``: cut the connection without doing the work
            - ``"hang"``: do the work and never answer
            - ``"cut"``: do the work and answer with half the body
            - ``"drip"``: do the work and answer a byte at a time
            - ``"work"``: do the work, as without a script
        hold: when set, requests wait for it before they are at work.
    """

    answer: Callable[[VendorRequest], Awaitable[Reply] | Reply]
    url: str = ""
    script: list[Reply | str] = field(default_factory=list)
    requests: list[VendorRequest] = field(default_factory=list)
    connections: int = 0
    hold: asyncio.Event | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, request: VendorRequest) -> Reply:
        if self.hold is not None:
            await self.hold.wait()
        found = self.answer(request)
        return found if isinstance(found, Reply) else await found


@asynccontextmanager
async def vendor_server(
    answer: Callable[[VendorRequest], Awaitable[Reply] | Reply], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[VendorServer]:
    """Run a server that works requests with ``answer``; its ``url`` has no path."""
    server = VendorServer(answer)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while await _serve_one(server, reader, writer):
                pass
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client went, or the test is over
        finally:
            writer.transport.abort()
            tasks.discard(task)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**20, ssl=tls)
    scheme = "http" if tls is None else "https"
    server.url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()


async def _serve_one(
    server: VendorServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return False
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    parts = urlsplit(target)
    request = VendorRequest(method, parts.path, dict(parse_qsl(parts.query, True)), headers, body)
    server.requests.append(request)
    server.arrived.set()
    step = server.script.pop(0) if server.script else "work"
    if step == "refuse":
        return False
    reply = step if isinstance(step, Reply) else await server.work(request)
    if step == "drop":
        return False
    if step == "hang":
        await reader.read()  # until the client goes
        return False
    wire = reply.encode()
    if step == "cut":
        writer.write(wire[: -max(1, len(wire) // 4)])
        await writer.drain()
        writer.close()
        return False
    for piece in [bytes([byte]) for byte in wire] if step == "drip" else [wire]:
        writer.write(piece)
        await writer.drain()
        if step == "drip":
            await asyncio.sleep(0.02)
    return True
