"""What an application calls: one object for all its queues."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

import orjson

from toril.engine.job import Job
from toril.engine.options import JobOptions, OptionArguments
from toril.engine.portions import PAGE, read_in_portions
from toril.engine.queue import DEFAULT_NAME
from toril.errors import ConfigurationError, OptionError, PayloadError
from toril.queues.base import QueueDefinition
from toril.queues.redaction import redacted
from toril.service_queues import ServiceQueues

if TYPE_CHECKING:
    from toril.db.session import Database

_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"

#: Job options as an application gives them: Bull's names and milliseconds, or ``JobOptions``.
Options = Mapping[str, Any] | JobOptions | None


class QueueService(ServiceQueues):
    """Adds jobs, tells how they are, and controls queues, by the queue's name.

    Job data is ``{"type": …, "data": {…}}`` and checked against the queue's payload models when it is added, so
    that a mistake reaches the caller and not a worker at night.

    All that adds jobs takes their options as Bull has them, ``options={"delay": 30_000}`` in milliseconds, as
    ``JobOptions``, or as Python's keyword arguments, ``delay=30`` in seconds. All of it raises

    - ``PayloadError``: the data does not fit its type; ``field`` is the path of the first bad value,
    - ``OptionError``: no such queue, or a bad option,
    - ``QueueUnavailableError``: the server cannot be reached.

    Args:
        definitions: the queues it knows; see ``toril.queues.registry``.
        database: where ``generate_report`` saves the report that is asked for.
        queue_options: options of every ``Queue``: url, prefix, node, home, patience.
    """

    def __init__(
        self,
        definitions: Iterable[QueueDefinition],
        *,
        database: Database | None = None,
        **queue_options: Any,
    ) -> None:
        super().__init__(definitions, **queue_options)
        self._database = database

    async def add_job(
        self,
        queue_name: str,
        data: Mapping[str, Any],
        options: Options = None,
        **given: Unpack[OptionArguments],
    ) -> dict[str, Any]:
        """Add a job; returns ``{jobId, queueName, data, options}``.

        A job that is there already, by its id or its debouncing, stays as it is: then ``existed`` is true beside that,
        and data and options are that job's. A schedule that is there takes the new ones for its next runs.
        """
        queue = self.queue(queue_name)
        self.definitions[queue_name].check(data)
        arguments = named(queue_name, data, read_options(options, **given)).given()
        job = await queue.add(DEFAULT_NAME, dict(data), **arguments)
        if "repeat" in arguments:
            return _added(queue_name, job)
        return (await self._told(queue_name, [job]))[0]

    async def add_bulk_jobs(self, queue_name: str, jobs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Add many jobs, each ``{"data": …, "options": …}``; all are checked before the first is added. Each is told as
        ``add_job`` tells one; those that were there already with
        ``cut`` and without most of their data, when they have more than 8 MiB together.
        """
        queue = self.queue(queue_name)
        items = []
        for index, entry in enumerate(jobs):
            if not isinstance(entry, Mapping) or "data" not in entry or entry.keys() - {"data", "options"}:
                raise OptionError(
                    f"jobs[{index}] must be an object with data, options if there are any, and no more"
                )
            try:
                self.definitions[queue_name].check(entry["data"])
            except PayloadError as error:
                raise PayloadError(f"jobs[{index}]: {error}", field=f"jobs.{index}.{error.field}") from error
            arguments = named(queue_name, entry["data"], read_options(entry.get("options"))).given()
            items.append((DEFAULT_NAME, dict(entry["data"]), arguments))
        return await self._told(queue_name, await queue.add_bulk(items))

    async def send_email(
        self, email: Mapping[str, Any], options: Options = None, **given: Unpack[OptionArguments]
    ) -> dict[str, Any]:
        """Queue one mail; ``email`` is the data of type ``transactional``."""
        return await self._add("email", "transactional", email, options, given)

    async def send_bulk_emails(
        self,
        recipients: Sequence[Mapping[str, Any]],
        subject: str,
        html: str,
        options: Options = None,
        **given: Unpack[OptionArguments],
    ) -> dict[str, Any]:
        """Queue one job that mails all ``recipients``, each with their own values in place of ``{{name}}``."""
        data = {"recipients": recipients, "subject": subject, "html": html}
        return await self._add("email", "bulk", data, options, given)

    async def generate_pdf(
        self,
        data: Mapping[str, Any],
        type: str = "invoice",
        options: Options = None,
        **given: Unpack[OptionArguments],
    ) -> dict[str, Any]:
        """Queue one PDF; ``data`` is that of the type."""
        return await self._add("pdf", type, data, options, given)

    async def send_notification(
        self,
        data: Mapping[str, Any],
        type: str = "in-app",
        options: Options = None,
        **given: Unpack[OptionArguments],
    ) -> dict[str, Any]:
        """Queue one notification; ``data`` is that of the type."""
        return await self._add("notification", type, data, options, given)

    async def generate_report(
        self,
        data: Mapping[str, Any],
        type: str,
        options: Options = None,
        *,
        requested_by: str | None = None,
        **given: Unpack[OptionArguments],
    ) -> dict[str, Any]:
        """Queue one report, and save it as ``queued``, so that it is in the firm's list from now on.

        A report that is repeated is not saved here: each of its runs saves one of its own.

        Args:
            requested_by: id of the user who asks.

        Returns:
            As ``add_job``, with ``reportId``: that of the data if it has one; None when it is repeated.

        Raises:
            RecordNotFoundError: there is no such firm, or it has no such user.
            ConfigurationError: the service was made without a database.
        """
        checked = read_options(options, **given)
        self.queue("report")
        job_type, payload = self.definitions["report"].check({"type": type, "data": data})
        inner = dict(data)
        job = {"type": type, "data": inner}
        if "reportId" in data or checked.repeat is not None:
            return await self.add_job("report", job, checked) | {"reportId": data.get("reportId")}
        if self._database is None:
            raise ConfigurationError("reports are saved: give QueueService(…, database=…) the records")
        from toril.service_reports import QueuedReport  # needs the extra "db"

        checked = named("report", job, checked)
        assert checked.job_id is not None
        report = QueuedReport(self._database, job_id=checked.job_id)
        inner["reportId"] = await report.save(job_type.name, payload, requested_by=requested_by)
        try:
            added = await self.add_job("report", job, checked)
        except Exception as error:
            await report.not_queued(error)
            raise
        return added | {"reportId": await report.of(added["jobId"])}

    async def schedule_cleanup(
        self,
        type: str,
        data: Mapping[str, Any] | None = None,
        options: Options = None,
        **given: Unpack[OptionArguments],
    ) -> dict[str, Any]:
        """Queue one cleanup: now, later with ``delay``, or again and again with ``repeat``."""
        return await self._add("cleanup", type, data or {}, options, given)

    async def schedule_sync(
        self,
        type: str,
        data: Mapping[str, Any] | None = None,
        options: Options = None,
        **given: Unpack[OptionArguments],
    ) -> dict[str, Any]:
        """Queue one sync: now, later with ``delay``, or again and again with ``repeat``."""
        return await self._add("sync", type, data or {}, options, given)

    async def _told(self, queue_name: str, jobs: Sequence[Job[Any]]) -> list[dict[str, Any]]:
        """Jobs as ``add_job`` tells them: those that were there already as they are.

        What was there may be much larger than what was sent, and be named many times: from some megabytes on only whose
        they are is told.
        """
        there = list(dict.fromkeys(job.id for job in jobs if job.existed))
        stored: dict[str, tuple[dict[str, Any], int]] = {}
        held = 0
        async for read in read_in_portions(self.queue(queue_name), there):
            for job_id, size, job in read:
                if job is not None:  # it may have been deleted since
                    whole = held == 0 or held + size <= PAGE
                    held += size if whole else 0
                    added = _added(queue_name, job)
                    stored[job_id] = (added if whole else _outline(added), size if whole else 0)
        told, spent = [], 0
        for job in jobs:
            added, size = (
                stored.get(job.id, (_added(queue_name, job), 0))
                if job.existed
                else (_added(queue_name, job), 0)
            )
            if spent and spent + size > PAGE:
                added = _outline(added)
            else:
                spent += size
            told.append(added | {"existed": True} if job.existed else added)
        return told

    async def _add(
        self,
        queue_name: str,
        type: str,
        data: Mapping[str, Any],
        options: Options,
        given: OptionArguments,
    ) -> dict[str, Any]:
        inner = dict(data) if isinstance(data, Mapping) else data
        return await self.add_job(queue_name, {"type": type, "data": inner}, options, **given)


def new_job_id(queue_name: str) -> str:
    """``<queue>-<ms>-<9 base-36 characters>``, unique without asking the server."""
    number, tail = secrets.randbelow(36**9), ""
    for _ in range(9):
        number, digit = divmod(number, 36)
        tail += _BASE_36[digit]
    return f"{queue_name}-{time.time_ns() // 1_000_000}-{tail}"


def read_options(options: Options = None, **given: Unpack[OptionArguments]) -> JobOptions:
    """Job options in either form.

    Raises:
        OptionError: an unknown or bad one, or both forms at once.
    """
    if options and given:
        raise OptionError(f"options are given twice: as an object, and as {', '.join(given)}; choose one")
    if given:
        return JobOptions.from_dict(given)
    return options if isinstance(options, JobOptions) else JobOptions.from_bull(options or {})


def named(queue_name: str, data: Mapping[str, Any], options: JobOptions) -> JobOptions:
    """The options with an id of ours, unless they have one: a new one, or for a schedule that of its type and data.

    So the same schedule can be added whenever an application starts, and those of two firms do not replace each other,
    though their times are the same.
    """
    if options.job_id is not None:
        return options
    return replace(options, job_id=new_job_id(queue_name) if options.repeat is None else _schedule_id(data))


def _schedule_id(data: Mapping[str, Any]) -> str:
    if not data.get("data"):
        return str(data["type"])
    text = orjson.dumps(data["data"], option=orjson.OPT_SORT_KEYS)
    return f"{data['type']}-{hashlib.sha256(text).hexdigest()[:12]}"


def _added(queue_name: str, job: Job[Any]) -> dict[str, Any]:
    added = {
        "jobId": job.id,
        "queueName": queue_name,
        "data": redacted(queue_name, job.data),
        "options": job.opts,
    }
    return added | {"existed": True} if job.existed else added


def _outline(added: dict[str, Any]) -> dict[str, Any]:
    """The same with no more of the data than what kind of job it is, and whose."""
    data = added["data"]
    inner = data.get("data") if isinstance(data, Mapping) else None
    firm = {"firmId": inner["firmId"]} if isinstance(inner, Mapping) and "firmId" in inner else {}
    kind = {"type": data["type"]} if isinstance(data, Mapping) and "type" in data else {}
    return {**added, "data": {**kind, "data": firm}, "options": {}, "cut": True}
