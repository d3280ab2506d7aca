"""A worker process for tests of notifications: ``python -m tests.support.notification_worker``.

``once DATABASE SERVER CHANNEL FOLDER`` works one in-app job and ends.
``queue DATABASE SERVER PREFIX FOLDER PUBLIC PRIVATE CA`` works the queue until it is stopped or killed; it trusts the
authority in the file CA, and takes every name for this machine's.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

from tests.support.notification_jobs import PlainJob, notification
from tests.support.notification_tls import Names, local_guard

from toril.db.session import Database
from toril.queues.notification import Channels, LogProvider, SocketEvents, Vapid, notification_queue
from toril.queues.registry import make_worker, open_queue


async def once(database: str, server: str, channel: str, folder: str) -> None:
    """Work one job."""
    async with Database(database) as records:
        channels = Channels(sms=LogProvider(folder), live=SocketEvents(server, channel=channel))
        queue = notification_queue(database=records, channels=channels)
        assert (await queue.process(PlainJob(notification("in-app"))))["emitted"] is True
        await queue.close()


async def work(
    database: str, server: str, prefix: str, folder: str, public: str, private: str, ca: str
) -> None:
    """Work the queue."""
    async with Database(database) as records:
        channels = Channels(
            sms=LogProvider(folder),
            vapid=Vapid(public, private, contact="push@firm.example"),
            guard=local_guard(Names()),
            tls=ssl.create_default_context(cafile=ca),
        )
        definition = notification_queue(database=records, channels=channels, bulk_parallel=4)
        queue = open_queue(definition, url=server, prefix=prefix)
        worker = make_worker(definition, queue, lock_duration=5.0, stalled_interval=1.0)
        print("ready", flush=True)
        await worker.run()
        await queue.close()
        await definition.close()


if __name__ == "__main__":
    asyncio.run({"once": once, "queue": work}[sys.argv[1]](*sys.argv[2:]))
