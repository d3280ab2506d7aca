"""Connections of HTTP that do not wait for ever, and keep no more of a request's head than a request needs.

The server we build on limits neither: whoever sends a head byte by byte would keep a connection, and whoever sends one
without an end would fill the memory, both without having signed in.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from toril.web.answers import failure

#: Seconds from the beginning of a connection, or of a request on one that stands, to the end of the head.
HEAD_WITHIN: Final = 10.0

#: Bytes of a head. What comes together is looked at together, so a little more may pass.
LARGEST_HEAD: Final = 64 * 1024


class HttpConnection(HttpToolsProtocol):
    """One connection; bad requests are answered in the envelope of the API."""

    head_within = HEAD_WITHIN
    _alarm: asyncio.TimerHandle | None = None
    _head_bytes = 0  #: since the last request was whole, also while its answer is on its way
    _in_body = False
    _is_ours = True  #: not yet a WebSocket's

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_alarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_body:
            super().data_received(data)  # of a head that begins in here only what comes after it is counted
        else:
            self._head_bytes += len(data)
            super().data_received(data)
        if not self._is_ours or self.transport.is_closing() or self._in_body:
            return
        if self._alarm is None and (
            self._head_bytes or self._is_idle()
        ):  # a request begins, or something that is none
            self._await_head()
        if self._head_bytes > LARGEST_HEAD:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self._refuse(status, "head_too_large", f"the headers are larger than {LARGEST_HEAD} bytes")

    def on_headers_complete(self) -> None:
        self._end_alarm()
        self._head_bytes, self._in_body = 0, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._is_ours = False
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, "bad_request", msg)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        self._alarm = self.loop.call_later(self.head_within, self._give_up)

    def _end_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        if self._is_idle():  # else it would get into the middle of another answer
            body = bytes(failure(status, code, message).body)
            head = (
                f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
