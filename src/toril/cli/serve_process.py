"""One process of ``toril serve``: queues that it works, HTTP, or both."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toril.cli.exits import CommandError, ExitCode
from toril.cli.group import Parent, Part, Together, WorkerGroup, work
from toril.cli.streams import announce
from toril.errors import ConfigurationError
from toril.installation import Installation, open_installation
from toril.queues.planned import install_planned
from toril.queues.registry import make_worker
from toril.settings import Settings

if TYPE_CHECKING:
    from toril.cli.web_server import WebServer

#: Seconds for a process without jobs.
_GRACE = 30.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which queues to work, and how."""

    only: list[str]
    skip: list[str]
    concurrency: dict[str, int]
    grace: float


def run(settings: Settings, supervisor: int | None, wanted: Wanted | None, *, web: bool) -> ExitCode:
    """Serve until told to stop.

    Args:
        settings: of the installation, with the address and port of HTTP.
        supervisor: the file descriptor by which to tell that this process is ready.
        wanted: the queues to work; None for none.
        web: whether to serve HTTP.
    """
    web_server = _web_server(settings) if web else None
    with Parent(supervisor) as parent:
        if wanted is None:
            with asyncio.Runner(loop_factory=_fast_loop) as runner:
                return runner.run(_serve(settings, parent, web_server, None))
        return asyncio.run(_serve(settings, parent, web_server, wanted))


async def _serve(
    settings: Settings, parent: Parent, web_server: WebServer | None, wanted: Wanted | None
) -> ExitCode:
    async with AsyncExitStack() as opened:
        parts: list[Part] = []
        told: list[str] = []
        if wanted is not None:
            installation = await opened.enter_async_context(open_installation(settings))
            group = _workers(installation, wanted)
            await install_planned(
                {worker.queue.name: worker.queue for worker in group.workers}, zone=settings.timezone
            )
            parts.append(group)
            names = ", ".join(f"{each.queue.name} ({each.concurrency} at once)" for each in group.workers)
            told.append(f"serving {names} on {group.workers[0].queue.server}")
        if web_server is not None:
            parts.append(web_server)

        def started() -> None:
            told.extend(web_server.tell_start() if web_server is not None else [])
            announce([*told, "Ctrl-C to stop"])

        return await work(Together(parts), parent, started, grace=_GRACE if wanted is None else wanted.grace)


def _web_server(settings: Settings) -> WebServer:
    try:
        from toril.cli.web_server import WebServer, listen
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"serving HTTP needs the package {error.name!r}: pip install 'toril[web]', or add --no-web"
        ) from error
    return WebServer(settings, listen(settings.host, settings.port))


def _fast_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _workers(installation: Installation, wanted: Wanted) -> WorkerGroup:
    service = installation.service
    for name in (*wanted.only, *wanted.skip, *wanted.concurrency):
        service.queue(name)  # names the nearest one if there is none
    group = WorkerGroup(
        [
            make_worker(
                definition,
                service.queue(name),
                grace=wanted.grace,
                concurrency=wanted.concurrency.get(name),
            )
            for name, definition in service.definitions.items()
            if (not wanted.only or name in wanted.only) and name not in wanted.skip
        ]
    )
    if not group.workers:
        raise CommandError("--skip leaves no queue to work", exit=ExitCode.USAGE, code="usage")
    return group
