"""Every request has an id and a line in the log, whatever becomes of it."""

from __future__ import annotations

import logging
import re
import time
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from toril.db.ids import new_id
from toril.web.answers import failure

log = logging.getLogger("toril.web")

#: An id that another program gave the request; anything else could forge log lines.
_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")

#: Longer parts of a path are tokens, as in the links of mail; ids of jobs and records are shorter.
_LONGEST_PART: Final = 48


class RequestLog:
    """Gives each request an id (``X-Request-ID``), logs how it went, and answers 500 for errors nobody handled.

    ``scope["toril"]`` is a dict with ``request_id``, and ``user`` once that is known.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _given_id(scope) or new_id()
        about = scope["toril"] = {"request_id": request_id, "user": None}
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            pass  # whoever asked has hung up in the middle of a body, or sent one that cannot be read
        except Exception:
            log.exception("request_broke", extra=_fields(scope, about))
            if status == 0:
                text = f"something went wrong on the server; its log has more, under {request_id}"
                await failure(500, "internal_error", text)(scope, receive, answer)
        finally:
            quiet = scope["path"].startswith("/health")
            if log.isEnabledFor(level := logging.DEBUG if quiet else logging.INFO):
                took = round((time.perf_counter() - began) * 1000, 1)
                log.log(level, "request", extra={**_fields(scope, about), "status": status, "ms": took})


def harmless_path(path: str) -> str:
    """The path of a request without what could be a token."""
    return "/".join(f"{part[:8]}…" if len(part) > _LONGEST_PART else part for part in path.split("/"))


def _fields(scope: Scope, about: dict[str, str | None]) -> dict[str, str | None]:
    return {"method": scope["method"], "path": harmless_path(scope["path"]), **about}


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _ID.fullmatch(value) else None
    return None
