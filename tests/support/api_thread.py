"""The application on a port of this machine, in a thread of its own, for clients that are not asyncio's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.support.queue_api import Api, open_api, served
from tests.support.web_people import Office, open_office

T = TypeVar("T")


@dataclass(frozen=True)
class ServedOffice:
    """A running application with two firms, and where it is reached."""

    office: Office
    url: str
    loop: asyncio.AbstractEventLoop

    @property
    def api(self) -> Api:
        return self.office.api

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the application's event loop; returns its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def token_of(self, who: str) -> str:
        """The access token of one of the office's people."""
        client = getattr(self.office, who)
        return str(client.headers["authorization"].removeprefix("Bearer "))


@contextmanager
def serve_office(server_url: str, prefix: str, home: Path, **settings: Any) -> Iterator[ServedOffice]:
    """Start the application in another thread; it has ended at the end of the block."""
    started: list[ServedOffice] = []
    ready, failures = threading.Event(), []
    stop: asyncio.Event

    async def work() -> None:
        nonlocal stop
        stop = asyncio.Event()
        async with (
            open_api(server_url, prefix, home, **settings) as api,
            open_office(api) as office,
            served(api.app) as url,
        ):
            started.append(ServedOffice(office, url, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="served-office")
    thread.start()
    ready.wait(60)
    try:
        if started:
            yield started[0]
    finally:
        if started:
            started[0].loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        if failures:
            raise failures[0]
