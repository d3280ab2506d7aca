"""A worker process that keeps a ledger in files, so that what it did is known whatever becomes of the server.

``python -m tests.support.fleet_main SETTINGS``: JSON with ``url``, ``queue``, ``folder``, ``block`` (seconds for which
SIGUSR1 blocks the event loop) and ``options`` of the worker. A job says in its data how long it takes: ``seconds``, or
``until`` a file is there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker


class Lines(logging.Handler):
    """The log as lines of JSON: the event, and the job it is about."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("a", buffering=1)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        job_ids = record.__dict__.get("job_ids") or [record.__dict__.get("job_id")]
        row = {
            "event": text.split(":")[0].split()[0],
            "job_ids": job_ids,
            "level": record.levelname,
            "text": text,
        }
        self._file.write(json.dumps(row) + "\n")


async def main(settings: dict[str, Any]) -> None:
    """Work until told to stop."""
    name = Path(settings["folder"], str(os.getpid()))
    logging.getLogger().addHandler(Lines(name.with_suffix(".log")))
    ledger = name.with_suffix(".runs").open("a", buffering=1)

    def note(what: str, job_id: str = "") -> None:
        ledger.write(json.dumps([what, job_id]) + "\n")

    def block() -> None:
        note("blocked")
        time.sleep(settings["block"])
        note("unblocked")

    queue = Queue(settings["queue"], url=settings["url"])

    @queue.process()
    async def work(job: Job[Any]) -> int:
        note("begin", job.id)
        try:
            if until := job.data.get("until"):
                while not Path(until).exists():  # noqa: ASYNC110, ASYNC240 - no event crosses processes
                    await asyncio.sleep(0.01)
            else:
                await asyncio.sleep(job.data["seconds"])
            return os.getpid()
        finally:
            note("end", job.id)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, block)
    worker = Worker(queue, **settings["options"])
    await worker.start()
    print("ready", flush=True)
    await worker.run()
    await queue.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
