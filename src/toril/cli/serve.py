"""``toril serve``: the ready-made queues, worked, and the HTTP API beside them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Annotated

import typer

from toril.cli.command import Call, command
from toril.cli.exits import CommandError, ExitCode
from toril.cli.serve_plan import plan_processes, read_numbers
from toril.observability import logging as log_lines


@command(
    examples="""
    toril serve                                        every ready-made queue, and HTTP on port 8080: two processes
    toril serve --only pdf --no-web                    one queue, say on a machine of its own
    toril serve --concurrency email=20 --only email    up to 20 mails at once
    toril serve --processes 4                          HTTP in one process, the queues in four others, all watched
    toril serve --processes pdf=3                      three processes for PDFs, one for the other queues, one for HTTP
    toril serve --no-workers --host 0.0.0.0            only HTTP, for other machines too
    """
)
def serve(
    call: Call,
    only: Annotated[
        list[str] | None, typer.Option(metavar="QUEUE", help="Only this queue; may be given again.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="QUEUE", help="All but this queue; may be given again.")
    ] = None,
    concurrency: Annotated[
        list[str] | None,
        typer.Option(metavar="QUEUE=N", help="Jobs of a queue at once, per process; may be given again."),
    ] = None,
    processes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N|QUEUE=N",
            help="Processes for the queues (1), or for one of them alone; may be given again. HTTP always has "
            "another of its own.",
            show_default=False,
        ),
    ] = None,
    grace: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long running jobs may go on after a stop (30).",
            show_default=False,
        ),
    ] = 30.0,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Where HTTP listens; else TORIL_HOST; else 127.0.0.1.", show_default=False
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Its port, 0 for any that is free; else PORT; else 8080.",
            show_default=False,
        ),
    ] = None,
    no_web: Annotated[bool, typer.Option("--no-web", help="No HTTP.", show_default=False)] = False,
    no_workers: Annotated[
        bool, typer.Option("--no-workers", help="Work no queues.", show_default=False)
    ] = False,
    supervisor: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> int:
    """Work the ready-made queues, and serve the HTTP API.

    Brings the database up to date, puts the planned schedules in place, and runs jobs until Ctrl-C, SIGTERM or
    SIGHUP: then HTTP ends, running jobs may end within the grace period, and the rest goes back. A second signal hands
    back at once.

    When nobody can sign in yet, an administrator is made, and the password shown this once.
    """
    log_lines.configure(call.settings.log_level, call.settings.log_format)
    if call.settings.log_level != "debug":
        for chatty in ("alembic", "uvicorn"):  # several lines at each start, and nothing that we do not tell
            logging.getLogger(chatty).setLevel(logging.WARNING)
    if no_web and no_workers:
        raise CommandError("--no-web and --no-workers leave nothing", exit=ExitCode.USAGE, code="usage")
    numbers = read_numbers("--concurrency", concurrency or [])
    plan = plan_processes(processes or [], only or [], skip or [])
    settings = replace(
        call.settings, host=host or call.settings.host, port=call.settings.port if port is None else port
    )
    # Answers and jobs in one event loop starve each other: 64 readers left a hundredth of the jobs' throughput.
    if not no_workers and (len(plan) > 1 or not no_web):
        from toril.cli.supervisor import Supervisor

        common = ["--url", call.given.url] if call.given.url else []
        common += ["--prefix", call.given.prefix] if call.given.prefix else []
        options = ["--no-web", "--grace", str(grace), *common]
        options += [part for row in concurrency or [] for part in ("--concurrency", row)]
        queues = [[*options, *each] for each in plan]
        web = ["--no-workers", "--host", settings.host, "--port", str(settings.port), *common]
        children = queues if no_web else [web, *queues]
        return asyncio.run(Supervisor(children, command="serve", grace=grace).run())
    # Only here: a supervisor does without what takes the start of a process seconds.
    from toril.cli.serve_process import Wanted, run

    wanted = None if no_workers else Wanted(only or [], skip or [], numbers, grace)
    return run(settings, supervisor, wanted, web=not no_web)
