"""Nobody waits for ever: an answer begins in time, or is a 503."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from toril.web.answers import failure
from toril.web.middleware.request_log import harmless_path

log = logging.getLogger("toril.web")

#: Seconds until an answer begins. What begins in time may take as long as it likes: downloads, live events.
ANSWER_WITHIN: Final = 10.0


class Deadline:
    """Cancels requests whose answer has not begun in time, as when a server neither answers nor hangs up."""

    def __init__(self, app: ASGIApp, *, seconds: float = ANSWER_WITHIN) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if not started:
                if alarm.expired():
                    return  # somebody's word on being cancelled; ours comes instead
                started = True
                alarm.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as alarm:
                await self._app(scope, receive, answer)
        except TimeoutError:
            if started or not alarm.expired():
                raise
        if started or not alarm.expired():
            return
        log.warning(
            "request_too_slow", extra={"path": harmless_path(scope["path"]), "after_s": self._seconds}
        )
        text = f"no answer within {self._seconds:g} s: it may or may not have been done; try again shortly"
        await failure(503, "too_slow", text, headers={"Retry-After": "2"})(scope, receive, send)
