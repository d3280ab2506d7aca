"""What can be done with one job, from any process."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from toril.engine.backoff import seconds
from toril.engine.codec import decode, encode, to_text
from toril.engine.turn import Turn
from toril.errors import (
    JobFailedError,
    JobLockedError,
    JobLockLost,
    JobNotFoundError,
    JobStateError,
    OptionError,
)

if TYPE_CHECKING:
    from toril.engine.core import QueueCore
    from toril.engine.events import Ending

#: ``failed_reason`` of a job that was cancelled before it ran.
CANCELLED = "cancelled"

#: Seconds between looks at a job whose result is awaited: published messages can get lost.
_POLL = 5.0

#: Seconds a message may take that was published before the job's hash was seen to be gone.
_MESSAGE_DELAY = 1.0


class JobActions:
    """The verbs behind ``Job``, by job id.

    Attributes:
        keys: names of the queue's keys.
    """

    def __init__(self, core: QueueCore) -> None:
        self._core = core
        self.keys = core.keys

    async def update_progress(self, job_id: str, value: Any, *, fence: str = "") -> None:
        """Store and publish progress, any JSON value.

        Args:
            fence: of the attempt that calls; see ``Job``.

        Raises:
            JobNotFoundError: there is no such job.
            JobLockLost: it was given to another attempt.
            DataError: ``value`` is not JSON.
        """
        text = encode(value, what="progress", limit=self._core.max_data_bytes)
        self._check(await self._run("update_progress", job_id, text, fence), job_id, "updateProgress")
        self._core.hooks.emit("progress", job_id, value)

    async def add_log(self, job_id: str, row: str, keep: int | None = None, *, fence: str = "") -> int:
        """Add a row to the job's log; returns how many it has.

        Args:
            keep: newest rows that stay; None keeps all.
            fence: of the attempt that calls; see ``Job``.

        Raises:
            JobNotFoundError: there is no such job.
            JobLockLost: it was given to another attempt.
        """
        if not isinstance(row, str):
            raise OptionError(f"a row of a job's log must be a text, got {type(row).__name__}")
        if keep is not None and (isinstance(keep, bool) or not isinstance(keep, int) or keep < 1):
            raise OptionError(f"keep must be a number of rows, at least 1, got {keep!r}")
        rows = await self._run("add_log", job_id, row, keep or 0, fence)
        self._check(rows, job_id, "addLog")
        return rows

    def turn(
        self, job_id: str, service: str, *, per_second: float, longest: float, in_order: bool = False
    ) -> Turn:
        """A place in the line of those who call ``service``; see ``Turn``."""
        return Turn(
            self._core.scripts,
            service,
            job_id=job_id,
            per_second=per_second,
            longest=longest,
            in_order=in_order,
        )

    async def get_logs(
        self, job_id: str, start: int = 0, end: int = -1, asc: bool = True
    ) -> tuple[list[str], int]:
        """Rows of a job's log from ``start`` to ``end`` (included), and how many there are in all.

        Args:
            asc: the oldest row first; otherwise places count from the newest.
        """
        if not asc:
            start, end = -(end + 1), -(start + 1)
        key = self.keys.logs(job_id)
        ask = self._core.scripts.ask
        rows, count = await asyncio.gather(ask("LRANGE", key, start, end), ask("LLEN", key))
        texts = [to_text(row) for row in rows]
        return texts if asc else texts[::-1], count

    async def update_data(self, job_id: str, data: Any, *, fence: str = "", unfinished: bool = False) -> None:
        """Replace the job's data, in whatever state it is.

        Args:
            fence: of the attempt that calls; see ``Job``.
            unfinished: only while it has not ended.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it has ended, and ``unfinished`` is set.
            JobLockLost: it was given to another attempt.
            DataError: ``data`` is not JSON, or too large.
        """
        text = encode(data, limit=self._core.max_data_bytes)
        code = await self._run("update_data", job_id, text, fence, 1 if unfinished else 0)
        if code == -3:
            raise JobStateError(
                job_id,
                f"{self._named(job_id)} has ended: its data says what was worked, and stays. Add a new job",
            )
        self._check(code, job_id, "updateData")

    async def remove(self, job_id: str) -> bool:
        """Delete a job and all that is kept of it; False if there was none, as when somebody was quicker.

        Raises:
            JobLockedError: a worker holds it.
        """
        _, held, there = await self._core.scripts.run("remove_jobs", "everywhere", 0, 0, job_id)
        if held:
            raise JobLockedError(
                job_id,
                f"Could not remove job {job_id}: a worker holds it. Cancel it, or wait until it has ended",
            )
        if there:
            self._core.hooks.emit("removed", job_id)
        return bool(there)

    async def retry(self, job_id: str) -> None:
        """Put a failed job back into the queue; its failed attempts stay counted.

        Raises:
            JobNotFoundError, JobLockedError, JobStateError: it is gone, held, or has not failed. Then nothing
                was changed.
        """
        code = await self._run("retry_job", job_id)
        which = self._named(job_id)
        if code == 0:
            raise JobNotFoundError(job_id, f"Couldn't retry job: The job doesn't exist ({which})")
        if code == -1:
            raise JobLockedError(job_id, f"Couldn't retry job: The job is locked ({which})")
        if code == -2:
            raise JobStateError(
                job_id,
                f"Couldn't retry job: The job has been already retried or has not failed ({which})",
            )

    async def promote(self, job_id: str) -> None:
        """Put a delayed job into the queue before it is due.

        Raises:
            JobNotFoundError, JobStateError: it is gone, or not delayed.
        """
        _, moved = await self._core.scripts.run("promote_jobs", 1, job_id)
        if moved:
            return
        if not await self._core.scripts.ask("EXISTS", self.keys.job(job_id)):
            raise self._missing(job_id, "promote")
        raise JobStateError(job_id, f"Job {job_id} is not in a delayed state (queue {self.keys.name!r})")

    async def get_state(self, job_id: str) -> str:
        """Where it is at this moment; ``stuck`` if in no list, or gone. See ``states``."""
        return to_text(await self._core.scripts.run("get_state", job_id))

    async def cancel(self, job_id: str) -> None:
        """Stop a job: one that waits fails at once with the reason ``cancelled``, a running one is told.

        A running job ends when its worker has heard of it and has interrupted the processor. Node's
        workers do not listen.

        Raises:
            JobNotFoundError, JobStateError: it is gone, or has finished.
        """
        code = await self._run("cancel_job", job_id, CANCELLED)
        if code < 0:
            raise self._missing(job_id, "cancel")
        if code == 2:
            raise JobStateError(job_id, f"{self._named(job_id)} has finished; it cannot be cancelled")

    async def result(self, job_id: str, timeout: float | timedelta | None = None) -> Any:
        """Wait until a job has finished; returns what its processor returned.

        Listens to the published messages, and looks from time to time, because messages can get lost.

        Args:
            timeout: seconds to wait; None waits for ever.

        Raises:
            JobFailedError: it failed.
            JobNotFoundError: it was removed, or its result was not kept and the message about it got lost.
            TimeoutError: not finished in time.
        """
        limit = None if timeout is None else seconds(timeout, "timeout")
        try:
            if limit == 0:  # no time to wait, but enough to look
                code, text = await self._kept_ending(job_id)
                if code not in (1, 2):
                    raise TimeoutError
                return _outcome(job_id, ("completed" if code == 1 else "failed", text))
            async with asyncio.timeout(limit), self._core.subscriber.watch(job_id) as told:
                return _outcome(job_id, await self._ending(job_id, told))
        except TimeoutError as error:
            text = f"{self._named(job_id)} has not finished within {limit:g} s; it goes on"
            raise TimeoutError(text) from error

    async def _ending(self, job_id: str, told: asyncio.Future[Ending]) -> Ending:
        while True:
            code, text = await self._kept_ending(job_id)
            if code in (1, 2):
                return ("completed" if code == 1 else "failed"), text
            # The message of a job that is deleted as it ends comes by another connection.
            wait = _MESSAGE_DELAY if code < 0 else _POLL * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
            await asyncio.wait([told], timeout=wait)
            if told.done():
                return told.result()
            if code < 0:
                raise JobNotFoundError(
                    job_id,
                    f"{self._named(job_id)} does not exist, so its result cannot be known: it was never "
                    "added, was removed, or had finished and was trimmed by its keep policy. Keep finished "
                    "jobs for a while (remove_on_complete=Keep(age=3600)) to fetch results late",
                )

    async def _kept_ending(self, job_id: str) -> tuple[int, str | None]:
        code, *kept = await self._core.scripts.run("get_result", job_id)
        return code, None if not kept or kept[0] is None else to_text(kept[0])

    def _named(self, job_id: str) -> str:
        return f"job {job_id} of queue {self.keys.name!r}"

    def _check(self, code: int, job_id: str, command: str) -> None:
        if code == -1:
            raise self._missing(job_id, command)
        if code < 0:
            raise JobLockLost(
                job_id,
                f"{self._named(job_id)} was given to another attempt ({command} refused, {code}): this one lost its "
                "lock. End it: what it returns is not stored either",
            )

    def _missing(self, job_id: str, command: str) -> JobNotFoundError:
        return JobNotFoundError(
            job_id,
            f"Missing key for job {job_id} {command}: queue {self.keys.name!r} has no such job; it was never "
            "added, or was removed or trimmed by a keep policy",
        )

    async def _run(self, script: str, *arguments: str | bytes | int) -> int:
        return int(await self._core.scripts.run(script, *arguments))


def _outcome(job_id: str, ending: Ending) -> Any:
    state, text = ending
    if state == "failed":
        raise JobFailedError(job_id, text or "")
    if text is None:
        return None
    try:
        return decode(text)
    except ValueError:  # not written by a queue library; Node takes it for no value
        return None
