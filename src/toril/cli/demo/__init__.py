"""``toril demo``: a firm's back office for a minute. Its invoices go to PDF and out by mail, and every other type of
job does its work once, through real queues and workers, with the outside world played by services on this machine."""

from __future__ import annotations

import os
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from toril.cli.command import Call, command
from toril.cli.demo.records import prepare
from toril.cli.demo.run import DemoRun, new_run
from toril.cli.demo.services import demo_services
from toril.cli.demo.table import print_table, watch
from toril.cli.demo.tally import Score, Tally
from toril.cli.exits import ExitCode
from toril.cli.group import WorkerGroup
from toril.cli.output import console_of, print_json
from toril.db.session import Database
from toril.engine.queue import Queue
from toril.installation import open_installation
from toril.queues.registry import make_worker
from toril.settings import Settings

#: Of the demonstration's queues where the usual ones are not to be touched.
APART = "toril-demo"


@command(
    examples="""
    toril demo                    200 invoices and a job of every type, with nothing configured
    toril demo --invoices 1000    more of them
    """
)
async def demo(
    call: Call,
    invoices: Annotated[int, typer.Option(min=1, max=100_000, help="How many invoices.")] = 200,
    seed: Annotated[int, typer.Option(help="The same number gives the same firm.")] = 1,
) -> int:
    """Run jobs of every type, and show what came out.

    A made-up law firm puts its invoices on the pdf queue; each finished PDF is mailed by the email queue, into the
    local outbox. Beside them one job of every other type of all six queues does its work. Banks, gateways and
    authorities are played by services on this machine; nothing leaves it. Where a server, a database or a place for
    files is configured, or workers are running, it keeps to queues, records and files of its own. Exits with 1 if a
    job did not complete.
    """
    console = console_of(sys.stderr if call.json else sys.stdout)
    score = await run_demo(call.settings, console, invoices=invoices, seed=seed)
    if call.json:
        print_json([_row(tally) for tally in score.tallies])
    return ExitCode.DONE if score.complete else ExitCode.FAILED


async def run_demo(settings: Settings, console: Console, *, invoices: int, seed: int) -> Score:
    """Run the demonstration, print what came of it, and return it."""
    settings = await _out_of_the_way(settings)
    name = new_run()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(settings.database_url, home=settings.home))
        await database.upgrade()
        records = await prepare(database, invoices=invoices, seed=seed, run=name)
        services = await stack.enter_async_context(demo_services(database, records, home=settings.home))
        settings = replace(settings, **services.settings)
        _leave_old_files(settings)
        installation = await stack.enter_async_context(open_installation(settings))
        service = installation.service
        run = DemoRun(service, records, services, name)
        group = WorkerGroup(
            [make_worker(definition, service.queue(each)) for each, definition in service.definitions.items()]
        )
        console.print(
            f"[bold]{records.firm.name_en}[/bold] sends {len(records.invoices)} invoices, and one job of every other "
            f"type is done. Server: {service.queue('pdf').server}"
        )
        try:
            await group.start()
            await run.add()
            await watch(run, console)
        finally:
            await group.close()
    files = settings.files_path
    assert isinstance(files, Path)
    print_table(run, console, files=files / records.firm.id, outbox=settings.outbox_path)
    return run.score


def _row(tally: Tally) -> dict[str, Any]:
    return {
        "queue": tally.queue,
        "type": tally.type,
        "completed": tally.completed,
        "failed": tally.failed,
        "seconds": round(tally.seconds, 3),
        "reasons": dict(tally.reasons),
    }


async def _out_of_the_way(settings: Settings) -> Settings:
    """Settings without anybody's credentials; and with queues and records of the demonstration's own, unless those
    there are are nobody's yet."""
    home, url = settings.home, settings.redis_url
    usual = Settings(home=home, redis_url=url, prefix=settings.prefix, log_level=settings.log_level)
    in_use = url or settings.database_url or settings.files_path != usual.files_path
    if not in_use:
        async with Queue("pdf", url=url, prefix=settings.prefix, home=home) as queue:
            in_use = bool(await queue.workers())
    if not in_use:
        return replace(usual, outbox_path=settings.outbox_path)
    return Settings(home=home / "demo", redis_url=url, prefix=APART, log_level=settings.log_level)


def _leave_old_files(settings: Settings) -> None:
    """Some files that have had their time, for the jobs that clean up."""
    long_ago = time.time() - 40 * 86_400
    for path in (settings.logs_path / "demo.log.1", settings.home / "temp" / "demo-upload.tmp"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of an earlier month\n")
        os.utime(path, (long_ago, long_ago))
