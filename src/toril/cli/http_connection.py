"""Connections of HTTP that wait for nobody for ever, and keep no more of a request or an answer than they need.

The server we build on limits neither: whoever sends a head byte by byte would keep a connection, whoever sends one
without an end would fill the memory, and whoever does not read answers would have them kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from toril.web.answers import failure

log = logging.getLogger("toril.cli")

#: Seconds from the beginning of a connection, or of a request on one that stands, to the end of the head.
HEAD_WITHIN: Final = 10.0

#: Bytes of a head. What comes together is looked at together, so a little more may pass.
LARGEST_HEAD: Final = 64 * 1024

#: In so many seconds a reader takes so many bytes of an answer that waits for it, or the connection is ended.
TAKE_WITHIN: Final = 60.0
LEAST_TAKEN: Final = 16 * 1024

#: Bytes of an answer that the system keeps for a reader before it says that there is no room.
_UNSENT: Final = 64 * 1024


class HttpConnection(HttpToolsProtocol):
    """One connection; bad requests are answered in the envelope of the API."""

    head_within, take_within = HEAD_WITHIN, TAKE_WITHIN
    _alarm: asyncio.TimerHandle | None = None
    _reader_alarm: asyncio.TimerHandle | None = None
    _earlier: Sequence[Any] = ()  #: requests whose answers are under way, before the last one
    _waiting = 0  #: bytes of answers that waited for the reader at the last look
    _head_bytes = 0  #: since the last request was whole, also while its answer is on its way
    _in_body = False
    _is_ours = True  #: not yet a WebSocket's

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # An answer goes on when the system has taken what there was of it, so we keep one piece of it at most; and we
        # hear of whatever waits, however little.
        transport.set_write_buffer_limits(high=0)
        _keep_little_unsent(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell_all()
        self._end_alarm()
        self._end_reader_alarm()
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
        self._earlier = [
            cycle for cycle in (*self._earlier, self.cycle) if cycle and not cycle.response_complete
        ]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reader_alarm is None:
            self._await_reader()

    def resume_writing(self) -> None:
        self._end_reader_alarm()
        super().resume_writing()

    def look_at_reader(self) -> None:
        """End the connection unless its reader has taken something since the last look."""
        if self._waiting - self.transport.get_write_buffer_size() < LEAST_TAKEN:
            log.info("reader_gone", extra={"waiting": self.transport.get_write_buffer_size()})
            self.transport.abort()
        else:
            self._await_reader()

    def handle_websocket_upgrade(self) -> None:
        self._is_ours = False
        self._end_reader_alarm()
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, "bad_request", msg)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_unanswered(self) -> bool:
        """Whether the request that comes is the one to be answered next, and its answer has not begun."""
        behind_others = any(cycle is self.cycle for cycle, _ in self.pipeline)
        return self.cycle is not None and not behind_others and not self.cycle.response_started

    def _await_reader(self) -> None:
        self._waiting = self.transport.get_write_buffer_size()
        self._reader_alarm = self.loop.call_later(self.take_within, self.look_at_reader)

    def _end_reader_alarm(self) -> None:
        if self._reader_alarm is not None:
            self._reader_alarm.cancel()
            self._reader_alarm = None

    def _await_head(self) -> None:
        self._alarm = self.loop.call_later(self.head_within, self._give_up)

    def _end_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _tell_all(self) -> None:
        """Let whoever works on a request learn that nobody is there any more: what they answer goes nowhere."""
        for cycle in (*self._earlier, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        if self._is_idle() or self._is_unanswered():  # else it would get into the middle of another answer
            body = bytes(failure(status, code, message).body)
            head = (
                f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
        self._tell_all()


def _keep_little_unsent(transport: asyncio.Transport) -> None:
    """Let the system keep little of an answer beyond what is on its way: it keeps megabytes for a reader who does not
    read, and we would not hear for long that nothing is taken.
    """
    option, connected = getattr(socket, "TCP_NOTSENT_LOWAT", None), transport.get_extra_info("socket")
    if option is not None and connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, option, _UNSENT)
