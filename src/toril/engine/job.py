"""A job as a person or a processor sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from toril.engine.codec import decode, to_text
from toril.engine.options import JobOptions
from toril.errors import DataError, OptionError

if TYPE_CHECKING:
    from toril.engine.actions import JobActions
    from toril.engine.turn import Turn

R = TypeVar("R")

#: Hash fields in the order of ``lua/includes/take.lua``; then the id and the start time.
_TAKEN = 13


class Job(Generic[R]):
    """One job: what was read when this object was made, and verbs that act on the job in the queue.

    Times are milliseconds since the epoch, as Bull keeps them.

    Attributes:
        id: unique in its queue.
        name: ``__default__`` for unnamed jobs.
        data: what it was added with.
        opts: its options as stored, in Bull's form.
        progress: number or JSON value; 0 until set.
        attempts_made: failed attempts so far.
        timestamp, processed_on, finished_on: creation, last start, end; None if not yet.
        return_value: what the processor returned.
        failed_reason: message of the last failure.
        stacktrace: one text for each failed attempt, oldest first.
        stalled_counter: how often its worker went away.
        existed: of a job that an add returned: it was there already, and may have other data than this.
        fence: names the attempt that this object stands for while a worker runs it; '' otherwise. What a run does
            whose job was given to another is refused with ``JobLockLost``.
        final_data: what an async processor sets it to becomes the job's data in the step that completes it, so that
            what only the work needed, such as a code, is not kept. None leaves the data as it is, and a job that fails
            keeps it for its next attempt.
    """

    __slots__ = (
        "_actions",
        "_options",
        "attempts_made",
        "data",
        "debounce_id",
        "delay",
        "discarded",
        "existed",
        "failed_reason",
        "fence",
        "final_data",
        "finished_on",
        "id",
        "name",
        "opts",
        "priority",
        "processed_on",
        "progress",
        "retried_on",
        "return_value",
        "stacktrace",
        "stalled_counter",
        "timestamp",
    )

    def __init__(
        self,
        actions: JobActions,
        id: str,
        name: str,
        data: Any,
        opts: dict[str, Any],
        *,
        timestamp: int | float | None = None,
    ) -> None:
        self._actions = actions
        self._options: JobOptions | None = None
        self.id, self.name, self.data, self.opts = id, name, data, opts
        self.timestamp = timestamp
        delay, priority = opts.get("delay"), opts.get("priority")
        self.delay: int | float = max(0, _given_number(delay)) if delay else 0
        self.priority: int | float = _given_number(priority) if priority else 0
        self.progress: Any = 0
        self.attempts_made = 0
        self.stalled_counter = 0
        self.processed_on: int | None = None
        self.finished_on: int | None = None
        self.retried_on: int | None = None
        self.return_value: R | None = None
        self.failed_reason: str | None = None
        self.stacktrace: list[str] = []
        self.debounce_id: str | None = None
        self.discarded = False
        self.existed = False
        self.fence = ""
        self.final_data: Any = None

    def speak_through(self, actions: JobActions) -> None:
        """Let the verbs go by another connection to the same queue."""
        self._actions = actions

    @classmethod
    def from_hash(cls, actions: JobActions, job_id: str, fields: Mapping[bytes, bytes]) -> Job[Any]:
        """Read a job's hash, as tolerant as Node: what cannot be read becomes the default.

        ``data`` that is not JSON is given as the text it is.
        """
        opts = _read(fields.get(b"opts"), {})
        if not isinstance(opts, dict):
            opts = {}
        job: Job[Any] = cls(
            actions,
            job_id,
            to_text(fields.get(b"name", b"__default__")),
            _read_data(fields.get(b"data", b"{}"), opts),
            opts,
        )
        job.timestamp = _number(fields.get(b"timestamp"))
        job.delay = _number(fields.get(b"delay")) or 0
        job.priority = _number(fields.get(b"priority")) or 0
        job.progress = _read(fields.get(b"progress"), 0)
        job.attempts_made = _whole(fields.get(b"attemptsMade")) or 0
        job.stalled_counter = _whole(fields.get(b"stalledCounter")) or 0
        job.processed_on = _whole(fields.get(b"processedOn"))
        job.finished_on = _whole(fields.get(b"finishedOn"))
        job.retried_on = _whole(fields.get(b"retriedOn"))
        job.return_value = _read(fields.get(b"returnvalue"), None)
        reason = fields.get(b"failedReason")
        job.failed_reason = None if reason is None else to_text(reason)
        job.stacktrace = _traces(fields.get(b"stacktrace"))
        deid = fields.get(b"deid")
        job.debounce_id = None if deid is None else to_text(deid)
        return job

    @classmethod
    def from_taken(cls, actions: JobActions, fields: list[bytes | None]) -> Job[Any]:
        """Read a job as ``advance`` hands it over.

        Raises:
            DataError: its data or options are not JSON; ``id`` and the rest can still be had from the fields.
        """
        raw_opts = fields[2]
        try:
            opts = decode(raw_opts) if raw_opts else {}
            # The usual case is read without a detour; only a wish for raw text needs a look.
            data = decode(fields[1]) if fields[1] is not None else {}
        except ValueError as error:
            which = "options" if _read(raw_opts, None) is None else "data"
            raise DataError(
                f"the job's {which} is not JSON ({error}); it was written by something else than a queue library"
            ) from error
        if not isinstance(opts, dict):
            raise DataError(f"the job's options are not an object but {type(opts).__name__}")
        if opts.get("preventParsingData"):
            data = to_text(fields[1] or b"{}")
        job = cls(actions, cast(bytes, fields[11]).decode(), to_text(fields[0] or b"__default__"), data, opts)
        job.fill_taken(fields)
        return job

    def fill_taken(self, fields: list[bytes | None]) -> None:
        """Set what ``advance`` tells beside name, data and options."""
        timestamp, priority, attempts = fields[3], fields[5], fields[6]
        self.timestamp = _number(timestamp)
        self.delay = 0
        self.priority = 0 if priority is None or priority == b"0" else _number(priority) or 0
        if attempts is not None:
            self.attempts_made = _whole(attempts) or 0
        if fields[7] is not None:
            self.stacktrace = _traces(fields[7])
        if fields[8] is not None:
            self.progress = _read(fields[8], 0)
        if fields[9] is not None:
            self.stalled_counter = _whole(fields[9]) or 0
        if fields[10] is not None:
            self.debounce_id = to_text(fields[10])
        self.processed_on = _whole(fields[12])

    def __repr__(self) -> str:
        return f"<Job {self.id!r} {self.name!r} attempts_made={self.attempts_made}>"

    @property
    def queue_name(self) -> str:
        """Name of its queue."""
        return self._actions.keys.name

    @property
    def options(self) -> JobOptions:
        """Its options in Python's terms; what Node stored in a form we cannot read is left out."""
        if self._options is None:
            self._options = _read_options(self.opts)
        return self._options

    async def update_progress(self, progress: Any) -> None:
        """Store and publish progress: a number or any JSON value."""
        await self._actions.update_progress(self.id, progress, fence=self.fence)
        self.progress = progress

    async def log(self, row: str) -> int:
        """Add a row to the job's log; returns how many it has."""
        return await self._actions.add_log(self.id, row, fence=self.fence)

    def turn(self, service: str, *, per_second: float, longest: float = 30.0, in_order: bool = False) -> Turn:
        """A place in the line of those who call an outside service that takes ``per_second`` calls a second.

        The line is shared by all workers of the queue: ``await turn.come()`` right before the call, and
        ``await turn.end()`` after it.

        Args:
            longest: seconds a job may wait in line; a longer line postpones it.
            in_order: calls are made in the order of the queue, one after the other; see ``Turn``. For jobs that make
                one call each, and say ``await turn.reserve()`` at their beginning.
        """
        return self._actions.turn(self.id, service, per_second=per_second, longest=longest, in_order=in_order)

    async def update(self, data: Any) -> None:
        """Replace the job's data, in whatever state it is."""
        await self._actions.update_data(self.id, data, fence=self.fence)
        self.data = data

    async def state(self) -> str:
        """Where it is now: waiting, active, completed, failed, delayed, paused, or stuck (in no list)."""
        return await self._actions.get_state(self.id)

    async def remove(self) -> None:
        """Delete it.

        Raises:
            JobLockedError: a worker holds it.
        """
        await self._actions.remove(self.id)

    async def retry(self) -> None:
        """Put a failed job back in the queue.

        Raises:
            JobNotFoundError, JobLockedError, JobStateError: it is gone, held, or has not failed.
        """
        await self._actions.retry(self.id)

    async def promote(self) -> None:
        """Run a delayed job as soon as its turn comes.

        Raises:
            JobNotFoundError, JobStateError: it is gone, or not delayed.
        """
        await self._actions.promote(self.id)

    async def cancel(self) -> None:
        """Stop it: a job that waits fails at once as ``cancelled``, a running one is told to stop."""
        await self._actions.cancel(self.id)

    def discard(self) -> None:
        """From within its processor: if this attempt fails, let it be the last."""
        self.discarded = True

    async def result(self, timeout: float | timedelta | None = None) -> R:
        """Wait until the job has finished and return what its processor returned.

        Args:
            timeout: seconds to wait; None waits for ever.

        Raises:
            JobFailedError: it failed; has its ``reason``.
            JobNotFoundError: it was removed, so that its result cannot be known.
            TimeoutError: not finished in time; the job goes on.
        """
        return cast(R, await self._actions.result(self.id, timeout))

    def to_dict(self) -> dict[str, Any]:
        """Bull's JSON form."""
        return {
            "id": self.id,
            "name": self.name,
            "data": self.data,
            "opts": self.opts,
            "progress": self.progress,
            "delay": self.delay,
            "timestamp": self.timestamp,
            "attemptsMade": self.attempts_made,
            "failedReason": self.failed_reason,
            "stacktrace": self.stacktrace or None,
            "returnvalue": self.return_value,
            "debounceId": self.debounce_id,
            "finishedOn": self.finished_on,
            "processedOn": self.processed_on,
        }


def _read(text: bytes | None, default: Any) -> Any:
    if text is None:
        return default
    try:
        return decode(text)
    except ValueError:
        return default


def _read_data(text: bytes, opts: dict[str, Any]) -> Any:
    if opts.get("preventParsingData"):
        return to_text(text)
    try:
        return decode(text)
    except ValueError:
        return to_text(text)


def _number(text: bytes | None) -> int | float | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None


def _given_number(value: Any) -> int | float:
    return value if isinstance(value, int | float) and math.isfinite(value) else 0


def _whole(text: bytes | None) -> int | None:
    value = _number(text)
    return None if value is None else int(value)


def _traces(text: bytes | None) -> list[str]:
    value = _read(text, [])
    return [str(item) for item in value if item] if isinstance(value, list) else []


def _read_options(opts: Mapping[str, Any]) -> JobOptions:
    try:
        return JobOptions.from_bull(opts, strict=False)
    except OptionError:
        good: dict[str, Any] = {}
        for name, value in opts.items():
            try:
                JobOptions.from_bull({name: value}, strict=False)
            except OptionError:
                continue
            good[name] = value
        return JobOptions.from_bull(good, strict=False)
