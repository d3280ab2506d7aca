"""Applications behind Toril's own HTTP connections, on a port of this machine; and clients that are no good readers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from tests.support.until import until

from toril.cli.http_connection import HttpConnection


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes:
        address: where it listens.
    """

    server: uvicorn.Server
    address: tuple[str, int]

    @property
    def connections(self) -> list[HttpConnection]:
        """Those that are there."""
        return list(self.server.server_state.connections)  # type: ignore[arg-type]

    @property
    def held(self) -> int:
        """Bytes of answers that wait for their readers."""
        return sum(each.transport.get_write_buffer_size() for each in self.connections)


@asynccontextmanager
async def served_by(app: Any, connection: type[HttpConnection]) -> AsyncIterator[Served]:
    """Serve an application; its lifespan is the caller's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            app, http=connection, lifespan="off", log_config=None, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        serving = asyncio.create_task(server.serve([listening]))

        async def is_up() -> bool:
            return server.started

        await until(is_up)
        try:
            yield Served(server, listening.getsockname()[:2])
        finally:
            server.should_exit = True
            await serving


@contextmanager
def unread(address: tuple[str, int], sent: bytes) -> Iterator[socket.socket]:
    """A connection that has sent something, and reads only when told; the system keeps little for it."""
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        reader.connect(address)
        reader.sendall(sent)
        reader.setblocking(False)
        yield reader
