"""A worker process of the report queue, for tests that kill it.

``python -m tests.support.report_worker URL PREFIX HOME [STALLS]``: the records and the files are in ``HOME``; a job may
stall as often as ``STALLS`` says.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from toril.db.session import Database
from toril.queues.registry import make_worker, open_queue
from toril.queues.report import report_queue
from toril.queues.storage import LocalFileStore


async def main(url: str, prefix: str, home: str, stalls: str = "10") -> None:
    """Work until killed."""
    async with Database(home=Path(home)) as database:
        definition = report_queue(database=database, files=LocalFileStore(Path(home) / "files"))
        async with open_queue(definition, url=url, prefix=prefix) as queue:
            # A short lock, so that the job of a killed worker is soon found.
            worker = make_worker(
                definition, queue, lock_duration=3.0, stalled_interval=0.5, max_stalled_count=int(stalls)
            )
            print("ready", flush=True)
            await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
