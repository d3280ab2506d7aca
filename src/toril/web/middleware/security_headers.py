"""Headers that tell browsers what not to do, and caches what not to keep."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Nothing is loaded from elsewhere, and nobody puts our pages into a frame.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

_ALWAYS: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_NO_STORE: Final = (b"cache-control", b"no-store")
_ONLY_TLS: Final = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeaders:
    """Adds them to every answer that does not have its own. Nothing under ``/api`` is kept by caches.

    Args:
        tls: whether people reach us by https only.
    """

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app = app
        self._always = (*_ALWAYS, _ONLY_TLS) if tls else _ALWAYS
        self._of_api = (*self._always, _NO_STORE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = self._of_api if scope["path"].startswith("/api/") else self._always

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                own = {name for name, _ in headers}
                headers.extend(header for header in added if header[0] not in own)
            await send(message)

        await self._app(scope, receive, answer)
