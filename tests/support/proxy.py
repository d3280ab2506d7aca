"""A network between a client and a server, which can be made to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Any, Self

from tests.support.servers import free_port

_CHUNK = 64 * 1024


class _Pipe:
    """One accepted connection, and what happens to its bytes."""

    def __init__(self) -> None:
        self.swallows_requests = self.swallows_answers = False
        self.writers: tuple[asyncio.StreamWriter, ...] = ()
        self.open = asyncio.Event()
        self.open.set()


class Proxy:
    """Accepts connections on a port of its own and passes them on to another one of this machine.

    It runs in a thread, so that a test whose event loop is blocked does not block the network too. What is told
    holds for the connections that stand, and with ``new`` for those that come.

    Attributes:
        url: what clients connect to.
        accepted: connections that were made so far.
    """

    def __init__(self, upstream: int) -> None:
        self.port, self._upstream = free_port(), upstream
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.accepted = 0
        self._delay = 0.0
        self._cut_after: int | None = None
        self._new = (False, False)
        self._lose_to: bytes | None = None
        self._pipes: set[_Pipe] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def swallow(self, *, new: bool = False) -> None:
        """Take what either side sends and pass nothing on; nobody is told."""
        self._on_loop(self._swallow, True, True, new)

    def lose_answers(self, *, new: bool = False) -> None:
        """Pass requests on, and swallow what the server answers."""
        self._on_loop(self._swallow, False, True, new)

    def lose_answer_to(self, text: bytes) -> None:
        """Swallow the answer to the next request with this in it, and what comes after it on its connection."""
        self._lose_to = text

    @property
    def lost_one(self) -> bool:
        """Whether that request has come."""
        return self._lose_to is None

    def hold(self) -> None:
        """Keep what either side sends from now on, until ``release``."""
        self._on_loop(lambda: [pipe.open.clear() for pipe in self._pipes])

    def release(self) -> None:
        """Pass on what was held, late."""
        self._on_loop(lambda: [pipe.open.set() for pipe in self._pipes])

    def heal(self) -> None:
        """Let connections that are made from now on work; what was swallowed is lost."""
        self._new, self._delay, self._cut_after = (False, False), 0.0, None

    def delay(self, seconds: float) -> None:
        """Pass everything on so much later."""
        self._delay = seconds

    def cut_after(self, count: int) -> None:
        """End both sides of a connection when so many more bytes have come from the server, in all."""
        self._cut_after = count

    def hang_up_upstream(self) -> None:
        """End the server's side of all connections and leave the clients' open: they are half-open then."""
        self._on_loop(self._hang_up)

    def lead_to(self, upstream: int) -> None:
        """Pass connections that are made from now on to another port."""
        self._upstream = upstream

    @property
    def open_connections(self) -> int:
        """Connections that stand."""
        return len(self._pipes)

    def _on_loop(self, call: Any, *arguments: Any) -> None:
        done = threading.Event()

        def run() -> None:
            call(*arguments)
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait(10)

    def _swallow(self, requests: bool, answers: bool, new: bool) -> None:
        for pipe in self._pipes:
            pipe.swallows_requests, pipe.swallows_answers = requests, answers
        if new:
            self._new = (requests, answers)

    def _hang_up(self) -> None:
        for pipe in self._pipes:
            pipe.swallows_requests = pipe.swallows_answers = True
            pipe.writers[1].transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        pipe = _Pipe()
        pipe.swallows_requests, pipe.swallows_answers = self._new
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        pipe.writers = (writer, far_writer)
        self._pipes.add(pipe)
        try:
            await asyncio.gather(
                self._pump(pipe, reader, far_writer, answers=False),
                self._pump(pipe, far_reader, writer, answers=True),
            )
        finally:
            self._pipes.discard(pipe)
            for end in pipe.writers:
                end.transport.abort()

    async def _pump(
        self, pipe: _Pipe, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_CHUNK):
                await pipe.open.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                if answers and self._cut_after is not None:
                    data = data[: self._cut_after]
                    self._cut_after -= len(data)
                if not answers and self._lose_to is not None and self._lose_to in data:
                    self._lose_to, pipe.swallows_answers = None, True
                if not (pipe.swallows_answers if answers else pipe.swallows_requests):
                    target.write(data)
                    await target.drain()
                if answers and self._cut_after == 0:
                    break
        # A side that swallows tells nobody of an end either.
        if not (pipe.swallows_answers and pipe.swallows_requests):
            target.close()

    def __enter__(self) -> Self:
        self._thread.start()

        async def listen() -> None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

        asyncio.run_coroutine_threadsafe(listen(), self._loop).result(60)
        return self

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def end() -> None:
            assert self._server is not None
            self._server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
