"""Jobs that failed for good, kept in a queue of their own until somebody has looked at them.

A queue with ``dead_letter="dead-letter"`` copies each job that fails for good to that queue, in the same step; see
``lua/includes/dead_letter.lua``. The copies are ordinary jobs that wait there, for people and not for a worker.
"""

from __future__ import annotations

import asyncio
import builtins
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from toril.engine.encoding import number
from toril.engine.keys import QueueKeys
from toril.engine.keyspace import is_job_id
from toril.engine.letter_box import LetterBox
from toril.engine.portions import leading
from toril.engine.queue import Queue
from toril.engine.requests import Requests
from toril.engine.scripts.runner import ScriptRunner
from toril.engine.states import PAUSED, WAITING
from toril.errors import JobError, JobLockedError, JobNotFoundError, JobStateError, OptionError

#: Name of the queue of dead letters, unless told otherwise.
DEAD_LETTER: Final = "dead-letter"

#: Letters read in one step.
_STEP = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A job as it was when it failed for good. Times are milliseconds since the epoch.

    Attributes:
        id: of the letter: ``<n>:<queue>:<job id>``.
        queue, job_id, name, data: the job's.
        opts: its options in Bull's form.
        failed_reason, stacktrace, attempts_made, stalled_counter: why and how often it failed.
        timestamp, processed_on, failed_at: creation, last start, end.
        unreadable: which of ``data``, ``opts`` and ``stacktrace`` were no JSON and are kept as text.
    """

    id: str
    queue: str
    job_id: str
    name: str
    data: Any
    opts: Any
    failed_reason: str
    stacktrace: Any
    attempts_made: int
    stalled_counter: int
    timestamp: int | float | None
    processed_on: int | float | None
    failed_at: int | float
    unreadable: list[str]

    @classmethod
    def from_data(cls, letter_id: str, kept: Any) -> DeadLetter | None:
        """Read the data of a waiting job; None if it is no letter, but a job that somebody added."""
        if not isinstance(kept, dict):
            return None
        if any(bull not in kept or not isinstance(kept[bull], types) for bull, types in _BULL.values()):
            return None
        return cls(id=letter_id, **{name: kept[bull] for name, (bull, _) in _BULL.items()})

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form: what the waiting job holds, and the letter's id."""
        own = asdict(self)
        return {"id": self.id, **{bull: own[name] for name, (bull, _) in _BULL.items()}}


_ANY, _NUMBER, _NUMBER_OR_NONE = object, (int, float), (int, float, type(None))

#: Attributes of a letter: the name in the waiting job's data, and what is to be there.
_BULL: Final[dict[str, tuple[str, Any]]] = {
    "queue": ("queue", str),
    "job_id": ("jobId", str),
    "name": ("name", str),
    "data": ("data", _ANY),
    "opts": ("opts", _ANY),
    "failed_reason": ("failedReason", str),
    "stacktrace": ("stacktrace", _ANY),
    "attempts_made": ("attemptsMade", _NUMBER),
    "stalled_counter": ("stalledCounter", _NUMBER),
    "timestamp": ("timestamp", _NUMBER_OR_NONE),
    "processed_on": ("processedOn", _NUMBER_OR_NONE),
    "failed_at": ("failedAt", _NUMBER),
    "unreadable": ("unreadable", list),
}


@dataclass(slots=True)
class Retried:
    """What ``retry_all`` did: ids of letters, and an error for each that stayed."""

    done: list[str] = field(default_factory=list)
    refused: list[JobError] = field(default_factory=list)


class DeadLetters:
    """The letters of one queue of dead letters: look at them, send them back, throw them away.

    Close it, or use ``async with``.

    Args:
        queue: an open ``Queue``, or the name of one; then ``url`` and other options of ``Queue`` may follow.
    """

    def __init__(self, queue: Queue | str = DEAD_LETTER, **queue_options: Any) -> None:
        if not isinstance(queue, str) and queue_options:
            raise OptionError(f"{sorted(queue_options)[0]} belongs to the Queue; an open one was given")
        self._owns_queue = isinstance(queue, str)
        self.queue = Queue(queue, **queue_options) if isinstance(queue, str) else queue
        self._token, self._requests = str(uuid.uuid4()), Requests()

    async def list(
        self, start: int = 0, end: int = -1, *, most: int | None = None
    ) -> tuple[builtins.list[DeadLetter], int]:
        """Letters from ``start`` to ``end`` (included), the newest first, and how many there are in all.

        Jobs that somebody added to the queue by hand are counted, but left out.

        Args:
            most: bytes; letters that follow when so many are read are left out. None for no bound.
        """
        if most is None:
            jobs = await self.queue.get_jobs((WAITING, PAUSED), start, end)
        else:
            ids = [
                job_id
                for state in (WAITING, PAUSED)
                for job_id in await self.queue.list_ids(state, start, end, asc=False)
            ]
            read = await self.queue.read_jobs(ids[: await leading(self.queue, ids, most)]) if ids else []
            jobs = [job for job in read if job is not None]
        counts = await self.queue.counts(WAITING, PAUSED)
        letters = [letter for job in jobs if (letter := DeadLetter.from_data(job.id, job.data)) is not None]
        return letters, sum(counts.values())

    async def get(self, letter_id: str) -> DeadLetter | None:
        """The letter, or None if there is none with this id."""
        if not is_job_id(letter_id):
            return None
        text = await self.queue.scripts.ask("HGET", self.queue.keys.job(letter_id), "data")
        try:
            # The standard library's reader, as it keeps whole numbers of any length: the data goes back as it was.
            return None if text is None else DeadLetter.from_data(letter_id, json.loads(text))
        except ValueError:
            return None

    async def retry(self, letter_id: str) -> str:
        """Put its job back into the queue it came from, and delete the letter, in one step; returns the job's id.

        A failed job that is still there is retried; one that was removed or trimmed is added anew with its id, data
        and options. Either way its attempts begin again. An expiry is dropped: the job is wanted now.

        Raises:
            JobNotFoundError: there is no such letter.
            JobLockedError: a worker holds the letter, or the job.
            JobStateError: the job has been retried already, another job has its id, or it cannot have been a job of
                any queue. In all cases nothing was changed.
        """
        letter = await self.get(letter_id)
        if letter is None:
            raise self._missing(letter_id)
        try:
            box = LetterBox(self.queue.name, QueueKeys(letter.queue, self.queue.keys.prefix))
        except OptionError as error:  # not one of ours: no queue has this name
            raise JobStateError(letter_id, f"dead letter {letter_id!r} was not retried: {error}") from error
        scripts = ScriptRunner(
            self.queue.connection,
            box.origin,
            self._token,
            patience=self.queue.scripts.patience,
            requests=self._requests,
        )
        opts = letter.opts
        if isinstance(opts, dict):
            opts = {name: value for name, value in opts.items() if name not in ("expiresAt", "expiresIn")}
        code = await scripts.run(
            "retry_letter",
            letter.id,
            letter.job_id,
            letter.name,
            _stored(letter.data, as_text="data" in letter.unreadable),
            _stored(opts, as_text="opts" in letter.unreadable),
            "" if letter.timestamp is None else number(letter.timestamp),
            _priority(opts),
            1 if isinstance(opts, dict) and opts.get("lifo") is True else 0,
            more_keys=box.all_keys,
        )
        if code > 0:
            return letter.job_id
        raise self._refusal(letter, int(code))

    async def retry_all(
        self,
        queue: str | None = None,
        *,
        only: Callable[[DeadLetter], bool] | None = None,
        retried: Retried | None = None,
    ) -> Retried:
        """Retry the letters there are at this moment, the oldest first; those that cannot be retried stay.

        Args:
            queue: only letters of this queue.
            only: only letters for which it is true.
            retried: filled in as it goes on, for a caller that may stop it.
        """
        retried = Retried() if retried is None else retried
        async for letters in self._walk():
            for letter in letters:
                if queue in (None, letter.queue) and (only is None or only(letter)):
                    try:
                        await self.retry(letter.id)
                        retried.done.append(letter.id)
                    except JobNotFoundError:
                        continue  # somebody else was quicker
                    except JobError as error:
                        retried.refused.append(error)
        return retried

    async def remove(self, letter_id: str) -> None:
        """Delete a letter; nothing happens if there is none. Its job is left alone.

        Raises:
            JobLockedError: a worker holds it.
        """
        await self.queue.actions.remove(letter_id)

    async def clean(self, older_than: float | timedelta) -> builtins.list[str]:
        """Delete letters that have been there for ``older_than`` seconds or longer; returns their ids."""
        return await self.queue.clean(older_than, WAITING) + await self.queue.clean(older_than, PAUSED)

    async def close(self) -> None:
        """End the connections, unless an open queue was given. May be called twice."""
        if self._owns_queue:
            await self.queue.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _walk(self) -> AsyncIterator[builtins.list[DeadLetter]]:
        """Letters in steps, the oldest first; those that come meanwhile are left out."""
        ids: builtins.list[bytes] = []
        for state in (WAITING, PAUSED):
            ids += await self.queue.scripts.run("list_ids", state, 0, -1, 1)
        for first in range(0, len(ids), _STEP):
            found = await asyncio.gather(*(self.get(each.decode()) for each in ids[first : first + _STEP]))
            yield [letter for letter in found if letter is not None]

    def _missing(self, letter_id: str) -> JobNotFoundError:
        return JobNotFoundError(
            letter_id,
            f"queue {self.queue.name!r} has no dead letter {letter_id!r}: it was retried or removed, or never written",
        )

    def _refusal(self, letter: DeadLetter, code: int) -> JobError:
        which = f"job {letter.job_id} of queue {letter.queue!r}"
        match code:
            case -1:
                return JobLockedError(
                    letter.id,
                    f"dead letter {letter.id!r} was not retried: a worker of queue {self.queue.name!r} holds it",
                )
            case -2:
                return JobLockedError(letter.id, f"{which} was not retried: a worker holds it")
            case -3:
                return JobStateError(
                    letter.id,
                    f"{which} was not retried: it has not failed, or was retried already. Remove the letter "
                    f"{letter.id!r} if the job is in order now",
                )
            case -4:
                return JobStateError(
                    letter.id,
                    f"{which} was not retried: another job has this id by now. Wait until that one is gone, or add "
                    f"the data anew and remove the letter {letter.id!r}",
                )
        return self._missing(letter.id)


def _stored(value: Any, *, as_text: bool) -> str:
    """A value as the job's hash had it."""
    if as_text and isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _priority(opts: Any) -> str:
    priority = opts.get("priority") if isinstance(opts, dict) else None
    if isinstance(priority, bool) or not isinstance(priority, int | float):
        return "0"
    return number(priority)
