"""An HTTP server on a loopback port that behaves as Resend's documentation says POST /emails and its batch do.

It checks the key, the user agent and the fields, remembers idempotency keys, and can be told to limit, fail,
stall or answer nonsense.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

API_KEY = "re_test_123456"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
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


def failure(status: int, name: str, message: str = "because", **headers: str) -> Answer:
    """An error as Resend writes it; ``headers`` with underscores for dashes."""
    body = {"statusCode": status, "name": name, "message": message}
    return Answer(status, body, {key.replace("_", "-"): value for key, value in headers.items()})


async def _not_running() -> None:
    raise RuntimeError("the server does not run")


@dataclass
class ResendServer:
    """The server and its script.

    Attributes:
        script: taken from the front, one for each request: an ``Answer`` instead of the real one;
            ``"drop"`` and ``"hang"`` do the work, then cut the connection or never answer; ``"drip"`` answers
            a byte at a time.
        sent: the messages that would go out, once for each idempotency key.
        strict_about: names of errors that refuse a batch as a whole, permissive or not.
    """

    url: str = ""
    script: list[Answer | str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    strict_about: set[str] = field(default_factory=set)
    per_second: int | None = None  #: requests that are taken in any second; more are answered with 429
    refused: int = 0
    _taken: list[float] = field(default_factory=list)
    connections: int = 0
    hold: asyncio.Event | None = None  #: when set, requests wait for it while they are at work
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _keys: dict[str, tuple[bytes, Answer | None]] = field(default_factory=dict)
    go_away: Callable[[], Awaitable[None]] = _not_running  #: refuse connections, and cut those that stand
    come_back: Callable[[], Awaitable[None]] = _not_running

    async def answer(self, request: Request) -> Answer:
        is_list = request.method == "GET" and request.path.startswith("/emails?")
        if not is_list and (request.method != "POST" or request.path not in ("/emails", "/emails/batch")):
            return failure(404, "not_found")
        if not request.headers.get("user-agent"):
            return failure(403, "validation_error", "a User-Agent is required")
        authorization = request.headers.get("authorization", "")
        if not authorization.startswith("Bearer "):
            return failure(401, "missing_api_key", "Missing API key in the authorization header.")
        if authorization != f"Bearer {API_KEY}":
            return failure(403, "invalid_api_key", "API key is invalid")
        if is_list:
            return Answer(200, {"object": "list", "has_more": False, "data": []})
        if self._is_too_much():
            return failure(429, "rate_limit_exceeded", "Too many requests.", retry_after="1")
        key = request.headers.get("idempotency-key")
        send = self._send if request.path == "/emails" else self._send_batch
        if key is None:
            return await send(request)
        if not 1 <= len(key) <= 256:
            return failure(400, "invalid_idempotency_key")
        if key in self._keys:
            body, first = self._keys[key]
            if first is None:
                return failure(409, "concurrent_idempotent_requests")
            return first if body == request.body else failure(409, "invalid_idempotent_request")
        self._keys[key] = (request.body, None)
        answer = await send(request)
        if answer.status == 200:
            self._keys[key] = (request.body, answer)
        else:
            del self._keys[key]
        return answer

    def _is_too_much(self) -> bool:
        now = time.monotonic()
        self._taken = [moment for moment in self._taken if moment > now - 1]
        if self.per_second is None or len(self._taken) < self.per_second:
            self._taken.append(now)
            return False
        self.refused += 1
        return True

    async def _send(self, request: Request) -> Answer:
        if problem := self._problem(request.json):
            return failure(422, *problem)
        if self.hold is not None:
            await self.hold.wait()
        self.sent.append(request.json)
        return Answer(200, {"id": str(uuid.uuid4())})

    async def _send_batch(self, request: Request) -> Answer:
        messages = request.json
        if not isinstance(messages, list) or not 1 <= len(messages) <= 100:
            return failure(422, "validation_error", "A batch has 1 to 100 emails.")
        if any("attachments" in message or "scheduled_at" in message for message in messages):
            return failure(422, "validation_error", "A batch has no attachments.")
        problems = {n: found for n, message in enumerate(messages) if (found := self._problem(message))}
        permissive = request.headers.get("x-batch-validation") == "permissive"
        if problems and (not permissive or self.strict_about & {name for name, _ in problems.values()}):
            return failure(422, *next(iter(problems.values())))
        if self.hold is not None:
            await self.hold.wait()
        good = [message for n, message in enumerate(messages) if n not in problems]
        self.sent += good
        body: dict[str, Any] = {"data": [{"id": str(uuid.uuid4())} for _ in good]}
        if permissive:
            body["errors"] = [{"index": n, "message": message} for n, (_, message) in problems.items()]
        return Answer(200, body)

    def _problem(self, message: dict[str, Any]) -> tuple[str, str] | None:
        for name in ("from", "to", "subject"):
            if not message.get(name):
                return "missing_required_field", f"Missing `{name}` field."
        if not (message.get("html") or message.get("text")):
            return "missing_required_field", "Missing `html` or `text` field."
        if not re.fullmatch(r"(?:.+ <)?[^<>@\s]+@[^<>@\s]+>?", message["from"]):
            return "invalid_from_address", "Invalid `from` field."
        if any("blocked" in address for address in message["to"]):
            return "validation_error", "Invalid `to` field."
        return None


@asynccontextmanager
async def resend_server() -> AsyncIterator[ResendServer]:
    """Run a server; its ``url`` is the base address."""
    server = ResendServer()
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

    async def listen(port: int = 0) -> asyncio.Server:
        return await asyncio.start_server(connected, "127.0.0.1", port, limit=2**20)

    listening = await listen()
    port = listening.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{port}"

    async def stop() -> None:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()

    async def come_back() -> None:
        nonlocal listening
        listening = await listen(port)

    server.go_away, server.come_back = stop, come_back
    try:
        yield server
    finally:
        await stop()


async def _serve_one(
    server: ResendServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return False
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ")
    request = Request(method, path, headers, body)
    server.requests.append(request)
    server.arrived.set()
    step = server.script.pop(0) if server.script else None
    answer = step if isinstance(step, Answer) else await server.answer(request)
    if step == "drop":
        return False
    if step == "hang":
        await reader.read()  # until the client goes
        return False
    for piece in [bytes([byte]) for byte in answer.encode()] if step == "drip" else [answer.encode()]:
        writer.write(piece)
        await writer.drain()
        if step == "drip":
            await asyncio.sleep(0.02)
    return True
