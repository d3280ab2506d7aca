"""Looks for jobs by a text in their id, name or data.

There is no index, so the server looks at one job after the other: in short steps, between which it serves others, and
at a bounded number of jobs for each call. The answer to a call says where the next one goes on.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from toril.engine.codec import to_text
from toril.engine.job import Job
from toril.engine.portions import PAGE, leading, read_in_portions
from toril.engine.queue import Queue
from toril.engine.states import ALL, COMPLETED, DELAYED, FAILED, check_state
from toril.errors import CursorError, OptionError

#: Jobs, and bytes of their names and data, that the server looks at in one step: a few milliseconds.
_STEP, _STEP_BYTES = 500, 512 * 1024

#: Jobs looked at by one call, unless told otherwise.
LOOKED_AT: Final = 10_000

#: Numbers that the server takes for a score or a place; it says "nan" and "inf" of none of ours.
_SCORE: Final = re.compile(r"-?[0-9]{1,25}(\.[0-9]{1,25})?(e[+-]?[0-9]{1,3})?")
_FURTHEST: Final = 2**53

_HALF: Final = re.compile("[\ud800-\udfff]")

#: Their jobs are in a sorted set, so that a place in them is known by the job there.
_SETS: Final = frozenset({COMPLETED, FAILED, DELAYED})


#: What of a job's data may be seen; the same object where that is all of it.
View = Callable[[Any], Any]


@dataclass(slots=True)
class Found:
    """What one call found.

    Attributes:
        jobs: (state, job).
        looked_at: how many jobs.
        cursor: for the call that goes on from here; None when all has been looked at.
    """

    jobs: list[tuple[str, Job[Any]]] = field(default_factory=list)
    looked_at: int = 0
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a search is in one state: behind so many jobs of a list, or behind one job of a sorted set."""

    state: str
    behind: int = 0
    score: str | None = None
    job_id: str | None = None

    def to_cursor(self) -> str:
        text = orjson.dumps([self.state, self.behind, self.score, self.job_id])
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    @classmethod
    def from_cursor(cls, cursor: str, states: Sequence[str]) -> _Place:
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            place = cls(*orjson.loads(text))
            fits = place.state in states and type(place.behind) is int and 0 <= place.behind <= _FURTHEST
            if fits and (place.score is not None or place.job_id is not None):
                fits = isinstance(place.job_id, str) and _SCORE.fullmatch(place.score or "") is not None
        except (ValueError, TypeError, binascii.Error):
            fits = False
        if not fits:
            raise CursorError("this cursor is of no search in these states; leave it out to begin again")
        return place


@dataclass(frozen=True, slots=True)
class Only:
    """Which jobs somebody may see.

    Attributes:
        text: what the data of each of them contains as JSON, in lower case; others are passed over in the server.
        takes: whether it is one, as the data may also contain the text elsewhere.
    """

    text: bytes
    takes: Callable[[Job[Any]], bool]


@dataclass(slots=True)
class Part:
    """Some of the jobs that ``list_only`` met.

    Attributes:
        jobs: those from the first to the last place asked for.
        last: the last place that was read: before the one asked for where the jobs are large.
        total: how many there are among all that were looked at.
        complete: whether all were looked at.
    """

    jobs: list[Job[Any]]
    last: int
    total: int
    complete: bool


async def list_only(
    queue: Queue, only: Only, state: str, first: int, last: int, *, asc: bool, look_at: int = LOOKED_AT
) -> Part:
    """Those jobs of one state that ``only`` takes, by their place among each other.

    Args:
        first, last: places, both included and not negative.
        asc: the order, as ``Queue.get_jobs`` has it.
        look_at: how many jobs to look at, at most.
    """
    ids, complete = await ids_of(queue, state, asc=asc, most=look_at, only=only)
    jobs, last = await read_page(queue, ids[first : last + 1], first, last)
    return Part([job for job in jobs if only.takes(job)], last, len(ids), complete)


async def read_page(queue: Queue, ids: Sequence[str], first: int, last: int) -> tuple[list[Job[Any]], int]:
    """Those of a page's jobs that fit into an answer, from the first on.

    Args:
        ids: of the jobs from place ``first`` to ``last``, as far as there are any.

    Returns:
        The jobs that are there, and the last place: ``last`` unless the page ends early.
    """
    count = await leading(queue, ids)
    jobs = await queue.read_jobs(ids[:count]) if count else []
    return [job for job in jobs if job is not None], last if count == len(ids) else first + count - 1


async def ids_of(
    queue: Queue, state: str, *, asc: bool, most: int, only: Only | None = None
) -> tuple[list[str], bool]:
    """The jobs that are in one state at this moment, and whether these are all.

    They are listed at once: who goes through a list in steps misses jobs when others before them leave.

    Args:
        asc: the order, as ``Queue.get_jobs`` has it.
        most: how many jobs are listed, and looked at.
        only: only jobs whose data has this text; whether ``only`` takes them is still to be looked at.
    """
    found = await queue.list_ids(state, 0, most, asc)
    complete, listed = len(found) <= most, found[:most]
    if only is None:
        return listed, complete
    ids: list[str] = []
    at = 0
    while at < len(listed):
        some = listed[at : at + _STEP]
        seen, *hits = await queue.scripts.run("match_jobs", b"", b"", only.text, _STEP_BYTES, *some)
        ids += map(to_text, hits)
        at += seen
    return ids, complete


async def find_jobs(
    queue: Queue,
    text: str,
    *,
    states: str | Iterable[str] = ALL,
    limit: int = 20,
    cursor: str | None = None,
    look_at: int = LOOKED_AT,
    only: Only | None = None,
    view: View | None = None,
) -> Found:
    """The next jobs with ``text`` in their id, their name or their data as JSON; the newest of each state first.

    Letters of ASCII match in either case. A job that moves meanwhile may be met twice or not at all; one that stays in
    its state is met.

    Args:
        states: where to look, in this order.
        limit: how many jobs to find at most; fewer when they are large.
        cursor: from the call before.
        look_at: how many jobs to look at, at most; then the call returns with what it has.
        only: which jobs may be found. The cursor then names none that may not, but a place, so that a job may also be
            missed when others before it leave.
        view: what of the jobs' data is shown; what is not shown is not found either, nor told by how far a call came.

    Raises:
        OptionError: no text, or no such state.
        CursorError: the cursor belongs to something else.
    """
    names = [check_state(name) for name in ((states,) if isinstance(states, str) else states)]
    if not isinstance(text, str) or not text.strip():
        raise OptionError("a search needs a text of at least one character")
    place: _Place | None = _Place.from_cursor(cursor, names) if cursor else _Place(names[0])
    # Half a surrogate pair cannot be in an id or a name; Node writes it into JSON as an escape.
    quoted = _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", json.dumps(text, ensure_ascii=False)[1:-1])
    needles = (text.encode(errors="surrogatepass").lower(), quoted.encode().lower())
    found = Found()
    room, is_full = PAGE, False  # bytes
    while place is not None and found.looked_at < look_at and not is_full:
        rows = await _list(queue, place, min(_STEP, look_at - found.looked_at))
        if not rows:
            following = names[names.index(place.state) + 1 :]
            place = _Place(following[0]) if following else None
            continue
        ids = [job_id for job_id, _ in rows]
        within = b"" if only is None else only.text
        seen, *hits = await queue.scripts.run("match_jobs", *needles, within, _STEP_BYTES, *ids)
        async for read in read_in_portions(queue, list(map(to_text, hits))):
            for job_id, size, job in read:
                if job is None or not ((only is None or only.takes(job)) and _shows(job, view, needles)):
                    continue
                found.jobs.append((place.state, job))
                room -= size
                if len(found.jobs) == limit or room <= 0:
                    seen, is_full = ids.index(job_id) + 1, True
                    break
            if is_full:
                break
        found.looked_at += seen
        job_id, score = rows[seen - 1]
        named = score is not None and only is None and _SCORE.fullmatch(score) is not None
        place = _Place(place.state, place.behind + seen, score if named else None, job_id if named else None)
    found.cursor = None if place is None else place.to_cursor()
    return found


def _shows(job: Job[Any], view: View | None, needles: tuple[bytes, bytes]) -> bool:
    """Whether the text is in what may be seen of a job; the server looked at all of it."""
    if view is None or (shown := view(job.data)) is job.data:
        return True
    text, quoted = needles
    names = (name.encode(errors="surrogatepass").lower() for name in (job.id, job.name))
    written = json.dumps(shown, ensure_ascii=False, separators=(",", ":"), default=str)
    halved = _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", written)
    return any(text in name for name in names) or quoted in halved.encode().lower()


async def _list(queue: Queue, place: _Place, count: int) -> list[tuple[str, str | None]]:
    """Ids behind a place, with their scores if they are in a sorted set; the newest first.

    New jobs come in front of a place, so that it moves on in a list, and the next step meets some jobs again; those
    of a sorted set are found by the job that was there.
    """
    if place.state not in _SETS:
        ids = await queue.list_ids(place.state, place.behind, place.behind + count - 1, asc=False)
        return [(job_id, None) for job_id in ids]
    ask, key = queue.scripts.ask, queue.keys.of(place.state)
    start = place.behind
    if place.score is not None and place.job_id is not None:
        rank = await ask("ZREVRANK", key, place.job_id)
        start = await ask("ZCOUNT", key, f"({place.score}", "+inf") if rank is None else rank + 1
    rows = await ask("ZREVRANGE", key, start, start + count - 1, "WITHSCORES")
    return [(to_text(job_id), to_text(score)) for job_id, score in zip(rows[::2], rows[1::2], strict=True)]


async def walk_jobs(queue: Queue, state: str) -> AsyncIterator[list[Job[Any]]]:
    """All jobs in one state, the newest first, in pages; a job that stays in the state is met once.

    Others may come and go meanwhile: the next page begins behind the last job of the one before, wherever that is by
    then. Only in lists, which have no such order, a page is told by its place from the newest.
    """
    place, met = _Place(check_state(state)), set[str]()
    while rows := await _list(queue, place, _STEP):
        fresh = [job_id for job_id, _ in rows if job_id not in met]
        met.update(fresh)
        async for read in read_in_portions(queue, fresh):
            yield [job for _, _, job in read if job is not None]
        job_id, score = rows[-1]
        place = _Place(place.state, place.behind + len(rows), score, None if score is None else job_id)
