"""Drives Node's Bull from Python tests::

async with NodeBull() as node:
    queue = await node.open("video", server.url)
    await queue.process({"do": "echo"})
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.node_install import HERE, install_folder, node_available
from tests.support.node_queue import NodeEvent, NodeQueue

__all__ = ["NodeBull", "NodeError", "NodeEvent", "NodeQueue", "node_available", "redis_options"]


class NodeError(Exception):
    """Bull, or Node, answered with an error; the text is Bull's own."""


def redis_options(url: str) -> dict[str, Any]:
    """The ioredis options for a ``redis://`` or ``unix://`` URL: {host, port, db, password} or {path, db}."""
    parts = urlsplit(url)
    database = parts.path.strip("/") if parts.scheme == "redis" else ""
    options: dict[str, Any] = {
        "db": int(database or 0),
        "username": parts.username,
        "password": parts.password,
    }
    if parts.scheme == "unix":
        options["path"] = parts.path
    else:
        options |= {"host": parts.hostname, "port": parts.port or 6379}
    return {name: value for name, value in options.items() if value not in (None, "")}


class NodeBull:
    """A Node process with Bull in it. Several queue objects may be open at once, also of one queue.

    Requests run concurrently, each answered by its id. Every wait has a limit (``within_s``); when it passes,
    or Node ends, the error carries what Node wrote to stderr.
    """

    def __init__(self, *, within_s: float = 60.0) -> None:
        self.within_s = within_s
        self.queues: dict[str, NodeQueue] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._opened = 0
        self._stderr: list[str] = []
        self._readers: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int:
        return self._running().pid

    async def start(self) -> Self:
        modules = install_folder() / "node_modules"
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(HERE / "bull_driver.js"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "NODE_PATH": str(modules)},
            limit=64 * 1024 * 1024,
        )
        self._readers = [
            asyncio.create_task(self._read_replies(), name="node-replies"),
            asyncio.create_task(self._read_stderr(), name="node-stderr"),
        ]
        return self

    async def close(self) -> None:
        """Let Node close its queues and end, not waiting for running jobs; kill it if that takes too long."""
        if self._process is None:
            return
        if self._process.stdin is not None and self._process.returncode is None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), self.within_s)
        except TimeoutError:
            self._process.kill()
        await self._reap()

    async def kill(self) -> None:
        """End Node at once, as a crash would: locks stay, active jobs stay active."""
        process = self._running()
        if process.returncode is None:
            process.kill()
        await self._reap()

    async def open(self, name: str, url: str, prefix: str = "bull", **options: Any) -> NodeQueue:
        """Open a queue object; ``options`` are Bull's: limiter, defaultJobOptions, settings, metrics.

        In ``settings["backoffStrategies"]`` a strategy is the list of its delays (ms), one an attempt.
        """
        self._opened += 1
        queue = NodeQueue(self, f"q{self._opened}", name)
        self.queues[queue.handle] = queue
        opened = {"redis": redis_options(url), "prefix": prefix, **options}
        await self.call("open", queue=queue.handle, args=[name, opened])
        return queue

    async def call(self, name: str, *, within_s: float | None = None, **request: Any) -> Any:
        """Send one request of the driver's protocol and return its result.

        Raises:
            NodeError: with Bull's message. TimeoutError: no answer in ``within_s`` seconds.
        """
        process = self._running()
        assert process.stdin is not None
        self._last_id += 1
        request_id = self._last_id
        reply = self._replies[request_id] = asyncio.get_running_loop().create_future()
        try:
            line = json.dumps({"id": request_id, "call": name, **request})
            process.stdin.write(line.encode() + b"\n")
            return await asyncio.wait_for(reply, within_s or self.within_s)
        except TimeoutError:
            raise TimeoutError(f"Node did not answer {name} {request} in time. {self._errors()}") from None
        finally:
            del self._replies[request_id]

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("Node is not running: use `async with NodeBull() as node`")
        return self._process

    def _errors(self) -> str:
        return f"Its stderr: {''.join(self._stderr)[-2000:] or 'empty'}"

    async def _read_replies(self) -> None:
        process = self._running()
        assert process.stdout is not None
        async for line in process.stdout:
            message = json.loads(line)
            if "event" in message:
                if queue := self.queues.get(message["queue"]):
                    await queue.receive(NodeEvent(message["event"], message["args"]))
            elif reply := self._replies.get(message["id"]):
                if reply.done():
                    continue
                if "error" in message:
                    reply.set_exception(NodeError(message["error"]))
                else:
                    reply.set_result(message["result"])
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(NodeError(f"Node ended. {self._errors()}"))

    async def _read_stderr(self) -> None:
        process = self._running()
        assert process.stderr is not None
        async for line in process.stderr:
            self._stderr.append(line.decode(errors="replace"))

    async def _reap(self) -> None:
        await self._running().wait()
        await asyncio.gather(*self._readers)
        self._process = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
