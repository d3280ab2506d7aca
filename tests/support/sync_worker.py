"""A worker process of the queue ``sync``, for tests that kill it.

``python -m tests.support.sync_worker URL PREFIX DATABASE_URL LEAN_URL``: banks are read by a server that behaves as
Lean does.
"""

from __future__ import annotations

import asyncio
import sys

from toril.db.session import Database
from toril.queues.registry import make_worker, open_queue
from toril.queues.sync.definition import Vendors, sync_queue
from toril.queues.sync.lean.client import Lean
from toril.testing.vendors.lean import APP_TOKEN, CLIENT_ID, CLIENT_SECRET


async def main(url: str, prefix: str, database_url: str, lean_url: str) -> None:
    """Work until killed."""
    lean = Lean(CLIENT_ID, CLIENT_SECRET, APP_TOKEN, base_url=lean_url, auth_url=lean_url)
    async with Database(database_url) as database:
        definition = sync_queue(database=database, vendors=Vendors(rates=(), lean=lean))
        async with open_queue(definition, url=url, prefix=prefix) as queue:
            # A short lock, so that the job of a killed worker is soon found.
            worker = make_worker(
                definition, queue, lock_duration=2.0, stalled_interval=0.5, max_stalled_count=5
            )
            print("ready", flush=True)
            await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
