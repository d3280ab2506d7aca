"""Paths that end in a slash."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class TrailingSlash:
    """Below ``/api`` a path with a slash at its end means the same as without, as it does in Express.

    A redirect would cost clients a request, and would have to know by which address they reached us.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            raw: bytes = scope.get("raw_path") or scope["path"].encode()
            # An encoded slash belongs to an id.
            if raw.endswith(b"/") and scope["path"].endswith("/"):
                scope = {**scope, "path": scope["path"][:-1], "raw_path": raw[:-1]}
        await self._app(scope, receive, send)
