"""``toril serve``: the ready-made queues, worked."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated

import typer

from toril.cli.command import Call, command
from toril.cli.exits import CommandError, ExitCode
from toril.cli.group import Parent, WorkerGroup, work
from toril.installation import Installation, open_installation
from toril.observability import logging as log_lines
from toril.queues.planned import install_planned
from toril.queues.registry import make_worker

log = logging.getLogger("toril.cli")


@command(
    examples="""
    toril serve                                        every ready-made queue, in this process
    toril serve --only pdf                             one of them, say on a machine of its own
    toril serve --concurrency email=20 --only email    up to 20 mails at once
    toril serve --processes 4                          four processes, each watched and started again
    """
)
def serve(
    call: Call,
    only: Annotated[
        list[str] | None, typer.Option(metavar="QUEUE", help="Only this queue; may be given again.")
    ] = None,
    concurrency: Annotated[
        list[str] | None,
        typer.Option(metavar="QUEUE=N", help="Jobs of a queue at once, per process; may be given again."),
    ] = None,
    processes: Annotated[
        int, typer.Option(metavar="N", min=1, help="Processes (1).", show_default=False)
    ] = 1,
    grace: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long running jobs may go on after a stop (30).",
            show_default=False,
        ),
    ] = 30.0,
    supervisor: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> int:
    """Work the ready-made queues.

    Brings the database up to date, puts the planned schedules in place, and runs jobs until Ctrl-C or SIGTERM:
    then running jobs may end within the grace period, and the rest goes back. A second signal hands back at once.
    """
    log_lines.configure(call.settings.log_level, call.settings.log_format)
    wanted = _numbers(concurrency or [])
    if processes > 1:
        from toril.cli.supervisor import Supervisor

        options = ["--grace", str(grace)]
        options += [part for name in only or [] for part in ("--only", name)]
        options += [part for row in concurrency or [] for part in ("--concurrency", row)]
        options += ["--url", call.given.url] if call.given.url else []
        options += ["--prefix", call.given.prefix] if call.given.prefix else []
        return asyncio.run(Supervisor(options, processes, command="serve").run())
    with Parent(supervisor) as parent:
        return asyncio.run(_serve(call, parent, only or [], wanted, grace))


async def _serve(
    call: Call, parent: Parent, only: list[str], wanted: dict[str, int], grace: float
) -> ExitCode:
    async with open_installation(call.settings) as installation:
        group = _workers(installation, only, wanted, grace)
        await install_planned(
            {worker.queue.name: worker.queue for worker in group.workers}, zone=call.settings.timezone
        )

        def started() -> None:
            names = ", ".join(
                f"{worker.queue.name} ({worker.concurrency} at once)" for worker in group.workers
            )
            server = group.workers[0].queue.server
            typer.echo(f"serving {names} on {server}. Ctrl-C to stop")

        return await work(group, parent, started)


def _workers(
    installation: Installation, only: list[str], wanted: dict[str, int], grace: float
) -> WorkerGroup:
    service = installation.service
    for name in (*only, *wanted):
        service.queue(name)  # names the nearest one if there is none
    return WorkerGroup(
        [
            make_worker(definition, service.queue(name), grace=grace, concurrency=wanted.get(name))
            for name, definition in service.definitions.items()
            if not only or name in only
        ]
    )


def _numbers(rows: list[str]) -> dict[str, int]:
    numbers = {}
    for row in rows:
        name, _, number = row.partition("=")
        if not name or not number.isdigit() or int(number) < 1:
            raise CommandError(
                f"--concurrency {row!r} is not QUEUE=N with N of at least 1",
                exit=ExitCode.USAGE,
                code="usage",
            )
        numbers[name] = int(number)
    return numbers
