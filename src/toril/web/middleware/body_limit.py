"""Bodies that are too large are refused before they are read, or as soon as they have grown too large."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from toril.web.answers import failure

#: Bytes of a body: a job's data may have 10 MiB, and there is JSON around it.
LARGEST: Final = 16 * 1024 * 1024

#: Bytes of a body that carries no job's data.
SMALL: Final = 64 * 1024

#: Bytes and seconds of a refused body that are still read, and thrown away: who is cut off while sending sees a broken
#: connection, and not why.
_STILL_READ: Final = 4 * LARGEST
_STILL_READ_FOR: Final = 3.0


class _TooLarge(Exception):
    """More came than was announced or is allowed."""


class BodyLimit:
    """Answers 413 for larger bodies, whether or not they say beforehand how large they are.

    Args:
        limits: bytes for paths that begin so; the first that fits counts.
    """

    def __init__(self, app: ASGIApp, *, limits: Mapping[str, int]) -> None:
        self._app, self._limits = app, tuple(limits.items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        limit = next((most for path, most in self._limits if scope["path"].startswith(path)), LARGEST)
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if announced is not None and announced.isdigit() and int(announced) > limit:
            awaited = any(name == b"expect" for name, _ in scope["headers"])  # nothing is sent before we read
            if int(announced) <= _STILL_READ and not awaited:
                await _read_away(receive)
            await _refuse(limit, scope, receive, send)
            return
        seen, started, ended = 0, False, False

        async def counted() -> Message:
            nonlocal seen, ended
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                ended = not message.get("more_body", False)
                if seen > limit:
                    raise _TooLarge
            return message

        async def answer(message: Message) -> None:
            nonlocal started
            if seen > limit and not started:
                return  # the framework's own words for a body that it could not read
            started = True
            await send(message)

        try:
            await self._app(scope, counted, answer)
        except Exception:
            if seen <= limit or started:
                raise
        if seen > limit and not started:
            if not ended:
                await _read_away(receive)
            await _refuse(limit, scope, receive, send)


async def _read_away(receive: Receive) -> None:
    left, more = _STILL_READ, True
    try:
        async with asyncio.timeout(_STILL_READ_FOR):
            while more and left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        pass


async def _refuse(limit: int, scope: Scope, receive: Receive, send: Send) -> None:
    text = f"the body is larger than the {limit} bytes allowed"
    # More of the body may still be on its way, so the connection is of no more use.
    await failure(413, "body_too_large", text, headers={"Connection": "close"})(scope, receive, send)
