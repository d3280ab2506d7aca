"""``toril dead-letters``: list, show, retry and remove."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from toril.cli.command import Call, command
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import confirm, count, print_fields, print_json, print_line, print_table, when
from toril.engine.dead_letters import DEAD_LETTER, DeadLetters
from toril.errors import JobError, JobNotFoundError
from toril.queues.redaction import redacted

LetterIds = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Ids of letters.", show_default=False)
]
LettersName = Annotated[
    str, typer.Option("--in", metavar="QUEUE", help="The queue of the letters.", show_default=True)
]


@command(
    examples="""
    toril dead-letters list                  the newest 20
    toril dead-letters list --end -1         all of them
    toril dead-letters list --json           with their data, for a script
    """
)
async def list_letters(
    call: Call,
    start: Annotated[int, typer.Option(metavar="N", help="First place, from 0.", show_default=False)] = 0,
    end: Annotated[
        int, typer.Option(metavar="N", help="Last place (19); -1 is the end.", show_default=False)
    ] = 19,
    letters_in: LettersName = DEAD_LETTER,
) -> None:
    """List dead letters, copies of jobs that failed for good.

    The newest come first.
    """
    async with call.queue(letters_in) as queue:
        letters, total = await DeadLetters(queue).list(start, end)
    if call.json:
        print_json(
            {"total": total, "letters": [redacted(letter.queue, letter.to_dict()) for letter in letters]}
        )
        return
    if not total:
        print_line(f"There are no dead letters in queue {letters_in!r}.")
        return
    print_table(
        ("id", "queue", "job", "name", "failed", "attempts", "failed reason", "data"),
        (
            (
                letter.id,
                letter.queue,
                letter.job_id,
                letter.name,
                when(letter.failed_at),
                letter.attempts_made,
                letter.failed_reason,
                json.dumps(redacted(letter.queue, letter.data), ensure_ascii=False, default=str)[:500],
            )
            for letter in letters
        ),
        numbers=("attempts",),
    )
    print_line(f"{len(letters):,} of {count(total, 'dead letter')}.")


@command(
    examples="""
    toril dead-letters show 17:email:41
    """
)
async def show_letter(
    call: Call,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the letter.", show_default=False)],
    letters_in: LettersName = DEAD_LETTER,
) -> None:
    """Show a dead letter: the job, and why it failed."""
    async with call.queue(letters_in) as queue:
        letter = await DeadLetters(queue).get(letter_id)
    if letter is None:
        raise _missing(letters_in, letter_id)
    if call.json:
        print_json(redacted(letter.queue, letter.to_dict()))
        return
    traces = letter.stacktrace if isinstance(letter.stacktrace, list) else [letter.stacktrace]
    print_fields(
        [
            ("id", letter.id),
            ("queue", letter.queue),
            ("job", letter.job_id),
            ("name", letter.name),
            ("attempts", f"{letter.attempts_made} failed"),
            ("stalled", letter.stalled_counter or None),
            ("added", when(letter.timestamp)),
            ("started", when(letter.processed_on)),
            ("failed", when(letter.failed_at)),
            ("failed reason", letter.failed_reason),
            ("options", letter.opts),
            (
                "data",
                json.dumps(redacted(letter.queue, letter.data), ensure_ascii=False, indent=2, default=str),
            ),
            ("not readable", ", ".join(letter.unreadable)),
            ("stack traces", "\n".join(str(trace).rstrip() for trace in traces)),
        ]
    )


@command(
    examples="""
    toril dead-letters retry 17:email:41           one job
    toril dead-letters retry --all                 all of them, the oldest first
    toril dead-letters retry --all --queue email   those of one queue
    """
)
async def retry_letters(
    call: Call,
    letter_ids: LetterIds = None,
    every: Annotated[bool, typer.Option("--all", help="All letters.", show_default=False)] = False,
    queue: Annotated[
        str | None,
        typer.Option(metavar="QUEUE", help="With --all: only jobs of this queue.", show_default=False),
    ] = None,
    letters_in: LettersName = DEAD_LETTER,
) -> int:
    """Put the jobs of dead letters back into their queues.

    Their attempts begin again, and the letters go. A job that is no longer among the failed ones is added anew.
    """
    if bool(letter_ids) == every or (queue is not None and not every):
        raise CommandError(
            "say which letters",
            exit=ExitCode.USAGE,
            code="usage",
            hint="give ids, or --all (with --queue for one queue), but not both",
        )
    async with call.queue(letters_in) as opened:
        letters = DeadLetters(opened)
        if every:
            retried = await letters.retry_all(queue)
            good, bad = retried.done, retried.refused
        else:
            good, bad = [], []
            for letter_id in dict.fromkeys(letter_ids or []):
                try:
                    await letters.retry(letter_id)
                    good.append(letter_id)
                except JobError as error:
                    bad.append(error)
    return _told(call, letters_in, "retried", good, bad)


@command(
    examples="""
    toril dead-letters remove 17:email:41 --yes           one letter; its job stays as it is
    toril dead-letters remove --older-than 604800 --yes   those of more than a week ago
    """
)
async def remove_letters(
    call: Call,
    letter_ids: LetterIds = None,
    older_than: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="Letters of longer ago.", show_default=False),
    ] = None,
    letters_in: LettersName = DEAD_LETTER,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
) -> int:
    """Delete dead letters.

    Their jobs are left alone.
    """
    if bool(letter_ids) == (older_than is not None):
        raise CommandError(
            "say which letters",
            exit=ExitCode.USAGE,
            code="usage",
            hint="give ids, or --older-than, but not both",
        )
    async with call.queue(letters_in) as opened:
        letters = DeadLetters(opened)
        which = (
            f"{count(len(letter_ids), 'dead letter')}" if letter_ids else f"those older than {older_than:g} s"
        )
        confirm(f"delete {which} of queue {letters_in!r} on {opened.server}", yes=yes, as_json=call.json)
        good: list[str] = []
        bad: list[JobError] = []
        if older_than is not None:
            good = await letters.clean(older_than)
        for letter_id in dict.fromkeys(letter_ids or []):
            try:
                if await letters.get(letter_id) is None:
                    raise _missing(letters_in, letter_id)
                await letters.remove(letter_id)
                good.append(letter_id)
            except JobError as error:
                bad.append(error)
    return _told(call, letters_in, "removed", good, bad)


def _told(call: Call, letters_in: str, done: str, good: list[str], bad: list[JobError]) -> int:
    """Say what was done to which, and fail if some were left."""
    if call.json:
        errors = [{"id": error.job_id, "code": error.code, "message": str(error)} for error in bad]
        print_json({"queue": letters_in, done: good, "errors": errors})
    elif good or not bad:
        print_line(f"{count(len(good), 'dead letter')} {done}.")
    if not bad:
        return ExitCode.DONE
    gone = all(isinstance(error, JobNotFoundError) for error in bad)
    raise CommandError(
        f"{len(bad)} of {count(len(good) + len(bad), 'dead letter')} not {done}: "
        + "; ".join(map(str, bad[:_NAMED]))
        + ("; …" if len(bad) > _NAMED else ""),
        exit=ExitCode.NOT_FOUND if gone else ExitCode.FAILED,
        code=bad[0].code if len(bad) == 1 or gone else "some_failed",
    )


#: Refusals that an error tells in full.
_NAMED = 5


def _missing(letters_in: str, letter_id: str) -> JobNotFoundError:
    return JobNotFoundError(
        letter_id,
        f"queue {letters_in!r} has no dead letter {letter_id!r}: it was retried or removed, or never written; "
        "toril dead-letters list shows what there is",
    )
