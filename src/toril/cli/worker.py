"""``toril worker``: runs the jobs of queues that a module defines."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Sequence
from typing import Annotated

import typer

from toril.cli.command import Call, command
from toril.cli.exits import CommandError, ExitCode
from toril.cli.group import Parent, WorkerGroup, work
from toril.cli.load import load_queues
from toril.cli.streams import announce
from toril.engine.address import parse_address
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.observability import logging as log_lines
from toril.settings import LOG_FORMATS, LOG_LEVELS, Settings

log = logging.getLogger("toril.cli")


@command(
    examples="""
    toril worker tasks:queue                        `queue` in tasks.py, as concurrent as its code says
    toril worker tasks:video tasks:mail             two queues in one process
    toril worker app.tasks:queue --concurrency 50   up to 50 jobs at once
    toril worker tasks:queue --processes 4          four processes, each watched and started again
    toril worker tasks:queue --log-format json      log lines for a log collector
    """
)
def run_worker(
    call: Call,
    queues: Annotated[
        list[str],
        typer.Argument(metavar="MODULE:QUEUE", help="Variables that hold a Queue.", show_default=False),
    ],
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Jobs at once, per queue and process; else what the code says.",
            show_default=False,
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(metavar="N", min=1, help="Worker processes (1).", show_default=False)
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
    log_level: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            help=f"{', '.join(LOG_LEVELS)}; else TORIL_LOG_LEVEL; else info.",
            show_default=False,
        ),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(
            metavar="FORM",
            help=f"{', '.join(LOG_FORMATS)}; else TORIL_LOG_FORMAT; else text.",
            show_default=False,
        ),
    ] = None,
    supervisor: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> int:
    """Run the jobs of one or more queues.

    Ctrl-C, SIGTERM or SIGHUP: takes no more, lets running jobs end within the grace period, and hands the rest back
    to the queue. A second Ctrl-C or SIGTERM hands back at once, and ends with 130.

    The server and the prefix are what the code says. --url stands in for REDIS_URL, where the code names no
    server.
    """
    level = _choice("--log-level", log_level or call.settings.log_level, LOG_LEVELS)
    form = _choice("--log-format", log_format or call.settings.log_format, LOG_FORMATS)
    log_lines.configure(level, form)
    if call.given.url:
        parse_address(call.given.url)
        os.environ["REDIS_URL"] = call.given.url  # before the import, since queues read it when they are made
    if processes > 1:
        from toril.cli.supervisor import Supervisor

        options = ["--grace", str(grace), "--log-level", level, "--log-format", form]
        options += [] if concurrency is None else ["--concurrency", str(concurrency)]
        options += ["--url", call.given.url] if call.given.url else []
        options += ["--prefix", call.given.prefix] if call.given.prefix else []
        options += ["--json"] if call.json else []
        return asyncio.run(Supervisor([[*queues, *options]] * processes, grace=grace).run())
    loaded = load_queues(queues)
    _check_surroundings(loaded, call)
    group = WorkerGroup([Worker(queue, concurrency=concurrency, grace=grace) for queue in loaded])
    servers = [str(queue.server) for queue in loaded]
    with Parent(supervisor) as parent:
        return asyncio.run(
            work(group, parent, lambda: _tell_start(group, servers, as_json=call.json), grace=grace)
        )


def _tell_start(group: WorkerGroup, servers: list[str], *, as_json: bool) -> None:
    rows = [
        {
            "queue": worker.queue.name,
            "concurrency": worker.concurrency,
            "prefix": worker.queue.keys.prefix,
            "server": server if (now := str(worker.queue.server)) == server else f"{server} ({now})",
        }
        for worker, server in zip(group.workers, servers, strict=True)
    ]
    if as_json:
        announce([json.dumps({"event": "ready", "pid": os.getpid(), "queues": rows}, ensure_ascii=False)])
        return
    parts = [f"{row['queue']} ({row['concurrency']} at once)" for row in rows]
    places = dict.fromkeys(str(row["server"]) for row in rows)
    announce([f"worker {os.getpid()}: {', '.join(parts)} on {', '.join(places)}. Ctrl-C to stop"])


def _check_surroundings(queues: list[Queue], call: Call) -> None:
    url, prefix = call.given.url, call.given.prefix
    for queue in queues:
        if url and str(queue.server) != str(parse_address(url)):
            raise _not_moved(queue, f"on {queue.server}", "url")
        if prefix and queue.keys.prefix != prefix:
            raise _not_moved(queue, f"under the prefix {queue.keys.prefix!r}", "prefix")
        if call.settings.prefix not in (queue.keys.prefix, Settings().prefix):
            log.warning(
                "prefix_not_used: TORIL_PREFIX is for commands and the web application; code names its own",
                extra={"queue": queue.name, "prefix": queue.keys.prefix},
            )


def _not_moved(queue: Queue, where: str, option: str) -> CommandError:
    return CommandError(
        f"queue {queue.name!r} is {where}, as its code says, so --{option} cannot move it",
        exit=ExitCode.USAGE,
        code="not_moved",
        hint=f"leave out --{option}, or change {option}= in the code",
    )


def _choice(option: str, value: str, choices: Sequence[str]) -> str:
    if value.lower() not in choices:
        raise CommandError(
            f"{option} {value!r} is unknown",
            exit=ExitCode.USAGE,
            code="usage",
            hint=f"it is one of {', '.join(choices)}",
        )
    return value.lower()
