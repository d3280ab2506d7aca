"""Repeated jobs: schedules that add one run after the other.

A schedule always has its next run in the queue, as a delayed job; whoever takes that run adds the one after
it before working on it. A run's id is made from the schedule and its time, so that however many processes add
a schedule, or take one run twice, there is one job for each time. Format and ids are Bull's: Node and Python
carry on each other's schedules.

Bull loses a schedule whose next run is deleted. Here the queue remembers what the runs are made from, and
workers look after schedules without a run.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from toril.engine.codec import check_text, decode, encode, to_text
from toril.engine.core import QueueCore
from toril.engine.job import Job
from toril.engine.options import JobOptions
from toril.engine.repeat import Repeat, instance_prefix, next_run, parse_repeat_key, repeat_key
from toril.engine.schedule_store import Idle, Run, ScheduleStore, Template, lasting
from toril.errors import OptionError, TorilError

log = logging.getLogger("toril.queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as it is stored.

    Attributes:
        key: names it; ``remove_schedule`` takes it.
        name: of its jobs.
        id: the ``job_id`` it was added with, if any.
        cron, tz: when it runs, or else
        every: seconds between runs.
        end_date: ms since the epoch; no run after it.
        next: time of the next run, ms since the epoch; of the last one once the schedule has ended.
        limit: runs in all, None for no limit.
        count: number of the next run.
        data: of its next jobs.
        opts: options of its next jobs, in Bull's form.

    Of a schedule that Node added and no worker of ours has seen yet only the key is known: ``opts``,
    ``limit``, ``count`` and ``data`` are None then.
    """

    key: str
    name: str
    id: str | None
    cron: str | None
    tz: str | None
    every: float | None
    end_date: int | None
    next: int
    limit: int | None = None
    count: int | None = None
    data: Any = None
    opts: Mapping[str, Any] | None = None
    size: int = field(default=0, compare=False, repr=False)  #: bytes, as far as that was asked for


class QueueSchedules(QueueCore):
    """Schedules of a queue."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._schedule_store = ScheduleStore(self.scripts)
        self._without_run: set[tuple[str, float]] = set()  # at the last look

    async def add_repeatable(self, name: str, data: Any, options: Mapping[str, Any]) -> Job[Any]:
        """Add a schedule and its first run; returns that run. ``queue.add(…, repeat=…)`` calls this.

        Adding the same again changes nothing about the run on its way, and gives those after it the new data
        and options.

        Raises:
            OptionError: an unknown or bad option, data that is not JSON, or a schedule that has ended.
        """
        if not isinstance(name, str) or not name:
            raise OptionError(f"a job's name must be a text of at least one character, got {name!r}")
        check_text(name, "a job's name")
        for option in ("delay", "timestamp", "debounce", "lifo"):
            if options.get(option) is not None:
                raise OptionError(f"{option} has no effect on a repeated job; leave it out")
        text = encode(data, limit=self.max_data_bytes)
        opts = {**self.encoder.defaults, **JobOptions.from_dict(options).to_bull()}
        repeat = dict(opts["repeat"])
        if "jobId" in opts:
            repeat["jobId"] = opts["jobId"]
        key = repeat_key(name, repeat)
        due = next_run(repeat, now_ms=await self._schedule_store.now())
        if due is None:
            raise OptionError(f"schedule {key!r} has no run left: its end_date or its limit has passed")
        count = int(repeat.get("count") or 0) + 1
        run = Run(key=key, name=name, data=text, opts=opts, repeat=repeat, count=count, due=due)
        armed = await self._schedule_store.arm("add", run)
        if armed.code == 1:
            fields = {"queue": self.name, "schedule": key, "job_id": armed.job_id, "next": armed.due}
            log.info("schedule_added", extra=fields)
        stored = {
            **run.stored,
            "jobId": armed.job_id,
            "prevMillis": armed.due,
            "delay": max(0, armed.due - armed.now),
            "timestamp": armed.now,
        }
        job: Job[Any] = Job(self.actions, armed.job_id, name, data, stored, timestamp=armed.now)
        job.existed = armed.code != 1
        return job

    async def schedules(
        self, start: int = 0, end: int = -1, asc: bool = False, *, most: int | None = None
    ) -> list[Schedule]:
        """Schedules from place ``start`` to ``end`` in the order of their next runs, the latest first.

        Args:
            most: bytes; those that follow when so many are read are left out. None for no bound.
        """
        members = await self._schedule_store.members(start, end, asc=asc)
        sizes = [0] * len(members)
        if most is not None:
            sizes = await self._schedule_store.sizes([key for key, _ in members])
            fits = [number for number, spent in enumerate(accumulate(sizes)) if number == 0 or spent <= most]
            members = members[: len(fits)]
        templates = await self._schedule_store.templates([key for key, _ in members])
        return [
            replace(_schedule(to_text(key), score, template), size=size)
            for (key, score), template, size in zip(members, templates, sizes[: len(members)], strict=True)
        ]

    async def schedule_count(self) -> int:
        """How many schedules there are, ended ones included."""
        return await self._schedule_store.count()

    async def remove_schedule(self, key: str, repeat: Repeat | None = None) -> bool:
        """End a schedule, and take its next run out of the queue if it is not running yet.

        Args:
            key: the schedule's key; together with ``repeat`` the name of its jobs.
            repeat: what the schedule was added with, ``job_id`` included.

        Returns:
            Whether there was one.
        """
        check_text(key, "a schedule's key")
        prefix = None
        if repeat is not None:
            name, raw = key, repeat.to_bull()
            key = repeat_key(name, raw)
            prefix = instance_prefix(name, raw.get("jobId"), key)
        removed, job_id = await self._schedule_store.remove(key, prefix)
        if removed:
            log.info("schedule_removed", extra={"queue": self.name, "schedule": key, "job_id": job_id})
        return removed

    async def schedule_next(self, job: Job[Any]) -> None:
        """Add the run after ``job``, which a worker has taken and not yet worked on.

        Raises nothing for the schedule's sake, since the job at hand can run all the same: what goes wrong is
        logged, told to listeners of ``error``, and made good by ``heal_schedules``.
        """
        repeat = job.opts.get("repeat")
        if not isinstance(repeat, dict):
            return
        try:
            await self._add_next(job, repeat)
        except TorilError as error:
            log.error(
                "schedule_not_advanced: %s",
                error,
                extra={"queue": self.name, "job_id": job.id, "job_name": job.name},
            )
            self.hooks.emit("error", error)

    async def heal_schedules(self) -> list[str]:
        """Add the next run of schedules that have lost theirs; returns their keys.

        One counts as having lost its run when it has none at two looks in a row, since Node writes a schedule
        and its run in two steps. May be called by any number of processes.
        """
        found = await self._schedule_store.without_run()
        before, self._without_run = self._without_run, {(idle.key, idle.score) for idle in found}
        missed = [idle for idle in found if (idle.key, idle.score) in before]
        templates = await self._schedule_store.templates([idle.key for idle in missed])
        healed = []
        for idle, template in zip(missed, templates, strict=True):
            # Without a template it is Node's, and its run went before a worker of ours saw it.
            if template is not None and await self._heal_schedule(idle, template):
                healed.append(idle.key)
        return healed

    async def _add_next(self, job: Job[Any], repeat: dict[str, Any]) -> None:
        key = str(repeat.get("key") or repeat_key(job.name, repeat))
        name, opts, data, done = job.name, job.opts, b"", _count(repeat)
        (template,) = await self._schedule_store.templates([key])
        newest = template is None or (template.at, template.count) <= (job.timestamp or 0, done)
        if template is not None and not newest:
            # The schedule was added again, or went on, since this run was added.
            name, opts, data = template.name, template.opts, template.data.encode()
            repeat, done = template.opts["repeat"], max(done, template.count)
        previous = job.opts.get("prevMillis")
        since = previous if isinstance(previous, int | float) else 0
        now = job.processed_on or await self._schedule_store.now()
        fields = {"queue": self.name, "schedule": key, "job_id": job.id}
        due = next_run({**repeat, "count": done}, now_ms=now, prev_ms=since)
        if due is None:
            if newest:
                log.info("schedule_ended", extra=fields)
            return
        run = Run(key=key, name=name, data=data, opts=opts, repeat=repeat, count=done + 1, due=due)
        armed = await self._schedule_store.arm("next", run, since=since, source=job.id)
        if armed.code < 0:
            reason = "removed" if armed.code == -1 else "the job was deleted after it was taken"
            log.info("schedule_stopped", extra=fields | {"reason": reason})

    async def _heal_schedule(self, idle: Idle, template: Template) -> bool:
        now = await self._schedule_store.now()
        repeat, done = template.opts["repeat"], template.count
        # One that is over had its turn, early or cancelled. A deleted one gets it back if there is time, but
        # counts as one of a limited number, since it may have run.
        previous = idle.score if idle.state == "over" else None
        fields = {"queue": self.name, "schedule": idle.key}
        try:
            due = next_run({**repeat, "count": done}, now_ms=now, prev_ms=previous)
        except OptionError as error:
            log.warning("schedule_unreadable: %s", error, extra=fields)
            return False
        if due is None:  # it has ended
            return False
        run = Run(
            key=idle.key,
            name=template.name,
            data=template.data.encode(),
            opts=template.opts,
            repeat=repeat,
            count=done + 1,
            due=due,
            prefix=idle.prefix,
        )
        armed = await self._schedule_store.arm("heal", run, since=idle.score)
        if armed.code == 1:
            log.warning(
                "schedule_healed: the next run of %s was gone; there is one again",
                idle.key,
                extra=fields | {"job_id": armed.job_id},
            )
        return armed.code == 1


def _count(repeat: Mapping[str, Any]) -> int:
    count = repeat.get("count")
    return int(count) if isinstance(count, int | float) else 0


def _schedule(key: str, score: float, template: Template | None) -> Schedule:
    found = parse_repeat_key(key, score)
    every = found["every"]
    schedule = {
        "key": key,
        "name": found["name"],
        "id": found["id"],
        "cron": found["cron"],
        "tz": found["tz"],
        "every": None if every is None else every / 1000,
        "end_date": found["endDate"],
        "next": found["next"],
    }
    if template is not None:
        repeat = template.opts["repeat"]
        limit, job_id = repeat.get("limit"), repeat.get("jobId")
        schedule |= {
            "name": template.name,
            "id": None if job_id is None else str(job_id),
            "limit": limit if isinstance(limit, int) else None,
            "count": template.count,
            "data": _data(template.data),
            "opts": lasting(template.opts),
        }
    return Schedule(**schedule)


def _data(text: str) -> Any:
    try:
        return decode(text)
    except ValueError:
        return text
