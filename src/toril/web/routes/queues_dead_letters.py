"""Jobs that failed for good, of all queues, kept until somebody has looked at them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from starlette.requests import Request

from toril.engine.dead_letters import DeadLetter, DeadLetters, Retried
from toril.engine.portions import PAGE
from toril.engine.search import LOOKED_AT, ids_of, read_page
from toril.engine.states import PAUSED, WAITING
from toril.errors import JobNotFoundError
from toril.queues.redaction import redacted
from toril.web.answers import Json, ok
from toril.web.firm_jobs import firm_of, only_of
from toril.web.queue_panel import End, Panel, Panelled, Start, in_time, page_of
from toril.web.queue_route import QueueRoute, described, read_body, takes
from toril.web.queue_views import JobRef, LetterScope, ListAnswer, Said, SweptLetters
from toril.web.schemas import Answer

router = APIRouter(route_class=QueueRoute)

LetterId = Annotated[
    str, Path(description="Id of the letter.", examples=["1:pdf:pdf-1732400000000-k3v9x0q2a"])
]

_LETTER: Final = {
    "id": "1:pdf:pdf-1732400000000-k3v9x0q2a",
    "queue": "pdf",
    "jobId": "pdf-1732400000000-k3v9x0q2a",
    "name": "__default__",
    "data": {"type": "custom", "data": {"html": "<p>Hello</p>"}},
    "opts": {"attempts": 2},
    "failedReason": "the page did not load",
    "stacktrace": ["Error: …"],
    "attemptsMade": 2,
    "stalledCounter": 0,
    "timestamp": 1732400000000,
    "processedOn": 1732400005000,
    "failedAt": 1732400005100,
    "unreadable": [],
}
_REF: Final = {
    "success": True,
    "message": "job retried",
    "data": {"jobId": "pdf-1732400000000-k3v9x0q2a", "queueName": "pdf"},
}


@router.get(
    "/dead-letters",
    response_model=ListAnswer[dict[str, Any]],
    responses=described({"success": True, "count": 1, "total": 1, "data": [_LETTER]}, 400, 401, 403, 503),
)
async def list_letters(panel: Panelled, start: Start = 0, end: End = 20) -> Json:
    """Letters from place `start` to `end`, the newest first: at most 200, and fewer when they have more than 8 MiB
    together. `total` tells how many there are.
    """
    total = 0
    if panel.firm_id is not None:
        return await _firm_page(panel.service.dead_letters, panel.firm_id, start, end)
    if min(start, end) < 0:
        _, total = await panel.service.dead_letters.list(0, 0, most=PAGE)
    first, last = page_of(start, end, total)
    letters, total = await panel.service.dead_letters.list(first, max(first, last), most=PAGE)
    shown = [redacted(letter.queue, letter.to_dict()) for letter in letters] if first <= last else []
    return ok(shown, count=len(shown), total=total)


@router.post(
    "/dead-letters/retry-all",
    response_model=SweptLetters,
    responses=described(
        {"success": True, "data": {"count": 3, "finished": True}, "refused": []},
        400,
        401,
        403,
        404,
        413,
        415,
        503,
    ),
    openapi_extra=takes(LetterScope, {"queue": "pdf"}, optional=True),
)
async def retry_all_letters(request: Request, panel: Panelled) -> Json:
    """Put the jobs of all letters, or of those from one queue, back into their queues; `refused` tells which stayed."""
    body = await read_body(request, LetterScope, optional=True)
    if body.queue is not None:
        panel.queue(body.queue)
    await panel.audit("dead_letter.retry_all", body.queue or "*")
    retried, firm_id = Retried(), panel.firm_id
    # What was done until the time is up is in ``retried``: no difference of two counts, as others retry too.
    _, finished = await in_time(
        panel.service.dead_letters.retry_all(
            body.queue,
            only=None if firm_id is None else lambda letter: firm_of(letter.data) == firm_id,
            retried=retried,
        )
    )
    refused = [
        {"jobId": error.job_id, "error": {"code": error.code, "message": str(error)}}
        for error in retried.refused
    ]
    return ok({"count": len(retried.done), "finished": finished}, refused=refused)


@router.get(
    "/dead-letters/{letter_id}",
    response_model=Answer[dict[str, Any]],
    responses=described({"success": True, "data": _LETTER}, 401, 403, 404, 503),
)
async def read_letter(letter_id: LetterId, panel: Panelled) -> Json:
    """One letter: the job as it was when it failed for good."""
    letter = await _own(panel, letter_id)
    return ok(redacted(letter.queue, letter.to_dict()))


@router.post(
    "/dead-letters/{letter_id}/retry",
    response_model=Said[JobRef],
    responses=described(_REF, 401, 403, 404, 409, 503),
)
async def retry_letter(letter_id: LetterId, panel: Panelled) -> Json:
    """Put a letter's job back into the queue it came from, and delete the letter; 409 if the job is there already."""
    letters = panel.service.dead_letters
    letter = await _own(panel, letter_id)
    await panel.audit("dead_letter.retry", letter_id)
    return ok({"jobId": await letters.retry(letter_id), "queueName": letter.queue}, message="job retried")


@router.delete(
    "/dead-letters/{letter_id}",
    response_model=Said[None],
    responses=described(
        {"success": True, "message": "dead letter removed", "data": None}, 401, 403, 404, 409, 503
    ),
)
async def remove_letter(letter_id: LetterId, panel: Panelled) -> Json:
    """Throw a letter away; its job is left alone."""
    letters = panel.service.dead_letters
    await _own(panel, letter_id)
    await panel.audit("dead_letter.remove", letter_id)
    await letters.remove(letter_id)
    return ok(None, message="dead letter removed")


async def _own(panel: Panel, letter_id: str) -> DeadLetter:
    letter = await panel.service.dead_letters.get(letter_id)
    if letter is None or panel.firm_id not in (None, firm_of(letter.data)):
        raise _missing(letter_id)
    return letter


async def _firm_page(letters: DeadLetters, firm_id: str, start: int, end: int) -> Json:
    only, ids = only_of(firm_id, letters=True), list[str]()
    for state in (WAITING, PAUSED):
        listed, _ = await ids_of(letters.queue, state, asc=False, most=LOOKED_AT, only=only)
        ids += listed
    first, last = page_of(start, end, len(ids))
    jobs, _ = await read_page(letters.queue, ids[first : last + 1], first, last)
    found = [DeadLetter.from_data(job.id, job.data) for job in jobs if only.takes(job)]
    shown = [redacted(letter.queue, letter.to_dict()) for letter in found if letter is not None]
    return ok(shown, count=len(shown), total=len(ids))


def _missing(letter_id: str) -> JobNotFoundError:
    return JobNotFoundError(
        letter_id, f"there is no dead letter {letter_id!r}: retried, removed, or never written"
    )
