"""``toril demo``: a firm's back office for a minute. Its invoices go to PDF and out by mail, and every other type of
job does its work once, through real queues and workers, with the outside world played by services on this machine."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console

from toril.cli.command import Call, command
from toril.cli.demo.records import prepare
from toril.cli.demo.run import DemoRun, new_run
from toril.cli.demo.services import demo_services
from toril.cli.demo.table import print_table, watch
from toril.cli.exits import ExitCode
from toril.cli.group import WorkerGroup
from toril.db.session import Database
from toril.engine.queue import Queue
from toril.queues.cleanup.definition import cleanup_queue
from toril.queues.cleanup.failed_jobs import FailedJobs
from toril.queues.cleanup.processors import Cleaner
from toril.queues.registry import make_worker, ready_made_queues
from toril.queues.storage import LocalFileStore
from toril.service import QueueService
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
    authorities are played by services on this machine; nothing leaves it. Real queues and records are left alone:
    where a server or a database is configured, or workers are running, it has queues and records of its own. Exits
    with 1 if a job did not complete.
    """
    complete = await run_demo(call.settings, Console(stderr=call.json), invoices=invoices, seed=seed)
    return ExitCode.DONE if complete else ExitCode.FAILED


async def run_demo(settings: Settings, console: Console, *, invoices: int, seed: int) -> bool:
    """Run the demonstration and print what came of it.

    Returns:
        Whether every job completed.
    """
    settings = await _out_of_the_way(settings)
    files = settings.home / "demo" / "files" if isinstance(settings.files_path, str) else settings.files_path
    name = new_run()
    seed = seed if invoices <= 200 else seed + invoices * 1000  # a larger firm is another firm
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(settings.database_url, home=settings.home))
        await database.upgrade()
        records = await prepare(database, invoices=invoices, seed=seed, run=name)
        server: dict[str, Any] = {
            "url": settings.redis_url,
            "prefix": settings.prefix,
            "home": settings.home,
        }
        services = await stack.enter_async_context(
            demo_services(
                database,
                records,
                outbox=settings.outbox_path,
                folder=settings.home / "demo" / "zatca",
                url=settings.redis_url,
                home=settings.home,
            )
        )
        definitions = ready_made_queues(
            files=LocalFileStore(files),
            outbox=settings.outbox_path,
            from_email=records.firm.email or "",
            from_name=records.firm.name_en or "",
            database=database,
            public_url=settings.reached_at(),
            secret=settings.require_secret(),
            channels=services.channels,
            vendors=services.vendors,
            add_job=lambda queue, data, options: run.add_child(queue, dict(data), options or {}),
        )
        definitions["cleanup"] = cleanup_queue(
            _cleaner(database, settings, [*definitions, "cleanup"], server)
        )
        service = await stack.enter_async_context(QueueService(definitions.values(), **server))
        run = DemoRun(service, records, services, name)
        group = WorkerGroup([make_worker(definitions[each], service.queue(each)) for each in definitions])
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
    print_table(run, console, files=files / records.firm.id, outbox=settings.outbox_path)
    return run.score.complete


async def _out_of_the_way(settings: Settings) -> Settings:
    """Settings with queues and records of the demonstration's own, unless those there are are nobody's yet."""
    configured = settings.redis_url or settings.database_url
    if not configured:
        async with Queue("pdf", url=None, prefix=settings.prefix, home=settings.home) as queue:
            if not await queue.workers():
                return settings
    place = settings.home / "demo"
    return replace(settings, prefix=APART, database_url=f"sqlite:///{place / 'toril.db'}")


def _cleaner(database: Database, settings: Settings, queues: list[str], server: dict[str, Any]) -> Cleaner:
    """Cleans folders of the demonstration's own, in which some old files lie."""
    logs, temp = settings.home / "demo" / "logs", settings.home / "demo" / "temp"
    long_ago = time.time() - 40 * 86_400
    for path in (logs / "toril.log.1", logs / "toril.log.2.gz", temp / "upload-1.tmp"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of an earlier month\n")
        os.utime(path, (long_ago, long_ago))
    return Cleaner(
        database,
        log_folders=[logs],
        temp_folders=[temp],
        archive_folder=settings.home / "demo" / "archive",
        purge_failed_jobs=FailedJobs(queues, **server).purge,
    )
