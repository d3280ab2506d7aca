"""The queue: what an application adds jobs to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, Unpack

from toril.engine.codec import check_text, encode
from toril.engine.control import QueueControl
from toril.engine.events import QueueEvent
from toril.engine.hooks import Listener
from toril.engine.job import Job
from toril.engine.options import OptionArguments
from toril.engine.producer import NewJob
from toril.engine.queries import QueueQueries
from toril.engine.rate_limit import grouped_id
from toril.engine.schedules import QueueSchedules
from toril.engine.tasks import QueueTasks
from toril.errors import OptionError

#: Name of jobs that were added without one.
DEFAULT_NAME = "__default__"

#: One step of ``add_bulk``; the next is encoded while the server works on this one.
_BULK_STEP = 500

#: A job for ``add_bulk``: (name, data) or (name, data, options).
BulkItem = tuple[str, Any] | tuple[str, Any, dict[str, Any]]


class Queue(QueueQueries, QueueControl, QueueSchedules, QueueTasks):
    """A queue of jobs on Redis or Valkey, in Bull 4's format.

    Connects when first used. Close it, or use ``async with``.

    Args:
        name: the queue's name, shared with everybody who works on it.
        url: ``redis://…``, ``rediss://…``, ``unix://…`` or ``redis+sentinel://host:port,host:port/service/db``; of a
            cluster any node. Else ``REDIS_URL``; else the embedded server.
        prefix: start of all keys, as Bull's option of this name.
        default_job_options: options of every job, each of which a job can override.
        limiter: at most ``max`` starts in ``duration`` seconds over all workers: {"max": 10, "duration": 1}; with
            ``group_key``, a path into the data such as ``user.id``, for each of its values.
        dead_letter: name of a queue to which workers copy jobs that fail for good; see ``DeadLetters``.
        node: False if no Node worker takes jobs of this queue: then many prioritised jobs are added as fast while no
            Toril worker runs, and Node sees the 512 most urgent only. It holds for all processes on the queue for an
            hour from each use, unless one says True. Else ``TORIL_SHARED_WITH_NODE``; else Node may be there.
        home: folder of the embedded server, when that is used.
        patience: seconds a call waits for a lost server, or for an answer, before it raises ``QueueUnavailableError``.
        max_data_bytes: most bytes of JSON in one job's data.

    Raises:
        OptionError: a bad name, prefix, URL or option.
    """

    async def add(self, name: Any, data: Any = ..., /, **options: Unpack[OptionArguments]) -> Job[Any]:
        """Add one job; ``add(data)`` with something else than a text adds an unnamed one.

        When this returns, the server has the job (as durably as its append-only setting says). Concurrent adds
        go to the server together. See ``JobOptions`` for the options. With ``job_id`` or ``debounce`` it may have had
        one already: then nothing is added, and the job that is returned has that one's id, and ``existed``.

        Raises:
            OptionError: an unknown or bad option, or data that is not JSON (``DataError``); nothing was added.
            QueueUnavailableError: no server within the queue's patience.
        """
        if data is ...:
            name, data = (name, {}) if isinstance(name, str) else (DEFAULT_NAME, name)
        if options.get("repeat") is not None:
            return await self.add_repeatable(name, data, options)
        new, opts = self._new_job(name, data, options)
        now, ids, there = await self.producer.submit((new,))
        job = self._added(ids[0], name, data, opts, now)
        job.existed = bool(there)
        return job

    async def add_bulk(self, items: Iterable[BulkItem]) -> list[Job[Any]]:
        """Add many jobs, in order: (name, data) or (name, data, options) each.

        All are checked before the first is added. Large lists go to the server in steps of some hundred; if it
        goes away in the middle, the error says so and the steps before are added.
        """
        checked = []
        for item in items:
            name, data, options = (*item, {}) if len(item) == 2 else item
            if options.get("repeat") is not None:
                raise OptionError("add_bulk does not take repeat; add each schedule with add()")
            checked.append((*self._new_job(name, data, options), data))
        steps = [checked[start : start + _BULK_STEP] for start in range(0, len(checked), _BULK_STEP)]
        answers = [self.producer.submit([new for new, _, _ in step]) for step in steps]
        jobs: list[Job[Any]] = []
        for step, (now, ids, there) in zip(steps, await asyncio.gather(*answers), strict=True):
            first = len(jobs)
            jobs += [
                self._added(job_id, new[1], data, opts, now)
                for job_id, (new, opts, data) in zip(ids, step, strict=True)
            ]
            for place in there:
                jobs[first + place].existed = True
        return jobs

    def on(self, event: str, listener: Listener) -> Listener:
        """Call ``listener`` (plain or async) at each event; see ``hooks`` for the events and their arguments.

        ``completed`` and the like tell what this process does; ``global:completed`` what anybody does, by the
        server's published messages, with the job's id in place of the job.
        """
        self.connection.check_loop()
        if event.startswith("global:"):
            self.subscriber.on(event.removeprefix("global:"), listener)
        else:
            self.hooks.on(event, listener)
            self.subscriber.refresh()  # some local events come by way of the server
        return listener

    def off(self, event: str, listener: Listener) -> None:
        """Stop calling ``listener``."""
        if event.startswith("global:"):
            self.subscriber.off(event.removeprefix("global:"), listener)
        else:
            self.hooks.off(event, listener)

    def events(self) -> AsyncIterator[QueueEvent]:
        """All that happens in the queue, by anybody, from now on; ends when the queue is closed.

        Published messages are not kept: what happens while the connection is lost is not seen.
        """
        self.connection.check_loop()
        return self.subscriber.stream()

    async def close(self) -> None:
        """Send what waits, then end the connections. May be called twice.

        Raises:
            QueueStateError: called from another event loop than the one that uses the queue, while that runs.
        """
        self.connection.check_loop()
        await self.producer.close()
        await self.overflow.finish()
        await self.hooks.close()
        await self.subscriber.close()
        await self.connection.close()
        await self.server.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Queue {self.keys.base!r} on {self.server}>"

    def _new_job(self, name: Any, data: Any, options: Mapping[str, Any]) -> tuple[NewJob, dict[str, Any]]:
        if not isinstance(name, str) or not name:
            raise OptionError(f"a job's name must be a text of at least one character, got {name!r}")
        check_text(name, "a job's name")
        text = encode(data, limit=self.max_data_bytes)
        if self.limiter is not None and (path := self.limiter.get("group_key")):
            options = {**options, "job_id": grouped_id(options.get("job_id"), data, path)}
        group, opts = self.encoder.encode(options)
        return (group, name, text, options.get("job_id") or ""), opts

    def _added(self, job_id: str, name: str, data: Any, opts: dict[str, Any], now: int) -> Job[Any]:
        stored = {"attempts": 1, "delay": 0, "timestamp": now, **opts}
        return Job(self.actions, job_id, name, data, stored, timestamp=stored["timestamp"])
