"""``toril jobs``: list, show, retry and remove."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import typer

from toril.cli.command import Call, command
from toril.cli.discovery import require_queue
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import (
    confirm,
    count,
    print_fields,
    print_json,
    print_line,
    print_table,
    progress,
    shown_job,
    when,
)
from toril.cli.queues import QueueName
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.states import ALL, check_state
from toril.errors import JobError, JobNotFoundError
from toril.queues.redaction import redacted

#: Ids that a question lists by name; more are counted.
_NAMED = 5

JobIds = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of jobs.", show_default=False)]


@command(
    examples="""
    toril jobs list email                               the first 20 of each state
    toril jobs list email --state failed                the last 20 that failed, newest first
    toril jobs list email --state waiting --end -1      all that wait, next first
    toril jobs list email --state failed --json         with their data, for a script
    """
)
async def list_jobs(
    call: Call,
    queue: QueueName,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE", help=f"{', '.join(ALL)}; may be repeated; else all of them.", show_default=False
        ),
    ] = None,
    start: Annotated[
        int, typer.Option(metavar="N", help="First place in each state, from 0.", show_default=False)
    ] = 0,
    end: Annotated[
        int, typer.Option(metavar="N", help="Last place (19); -1 is the end.", show_default=False)
    ] = 19,
) -> None:
    """List the jobs of a queue.

    Finished jobs come newest first; others in the order in which they will run.
    """
    states = list(dict.fromkeys(map(check_state, state or ALL)))
    found: list[tuple[str, Job[Any]]] = []
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        for each in states:
            ascending = each not in ("completed", "failed")
            jobs = await opened.get_jobs(each, start, end, asc=ascending)
            found += [(each, job) for job in jobs]
    if call.json:
        print_json([shown_job(queue, job) | {"state": each} for each, job in found])
        return
    print_table(
        ("id", "name", "state", "added", "attempts", "progress", "failed reason", "data"),
        (
            (
                job.id,
                job.name,
                each,
                when(job.timestamp),
                job.attempts_made,
                job.progress or None,
                job.failed_reason,
                json.dumps(redacted(queue, job.data), ensure_ascii=False, default=str)[:500],
            )
            for each, job in found
        ),
        numbers=("attempts",),
    )


@command(
    examples="""
    toril jobs show email 41
    toril jobs show email 41 --json    Bull's form, with state and logs
    """
)
async def show_job(
    call: Call,
    queue: QueueName,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the job.", show_default=False)],
) -> None:
    """Show one job: data, state, failures and log."""
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        job = await opened.get_job(job_id)
        if job is None:
            raise _missing(queue, job_id)
        state = await job.state()
        rows, _ = await opened.logs(job_id)
    if call.json:
        print_json(shown_job(queue, job) | {"state": state, "logs": rows})
        return
    print_fields(
        [
            ("id", job.id),
            ("queue", queue),
            ("name", job.name),
            ("state", state),
            ("progress", job.progress or None),
            ("attempts", f"{job.attempts_made} of {job.opts.get('attempts') or 1} failed"),
            ("stalled", job.stalled_counter or None),
            ("added", when(job.timestamp)),
            ("started", when(job.processed_on)),
            ("finished", when(job.finished_on)),
            ("failed reason", job.failed_reason),
            ("returned", job.return_value),
            ("options", job.opts),
            ("data", json.dumps(redacted(queue, job.data), ensure_ascii=False, indent=2, default=str)),
            ("stack traces", "\n".join(trace.rstrip() for trace in job.stacktrace)),
            ("log", "\n".join(rows)),
        ]
    )


@command(
    examples="""
    toril jobs retry email 41 42      two jobs
    toril jobs retry email --all      everything in the failed set
    """
)
async def retry_jobs(
    call: Call,
    queue: QueueName,
    job_ids: JobIds = None,
    all_failed: Annotated[
        bool, typer.Option("--all", "--all-failed", help="All jobs that failed.", show_default=False)
    ] = False,
) -> int:
    """Move failed jobs back to waiting.

    Failed attempts stay counted, as with Bull: a job that has used all its attempts gets one more.
    """
    require_which(job_ids, every=all_failed)
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        if all_failed:
            failed = (await opened.counts("failed"))["failed"]
            with progress(as_json=call.json) as display:
                display.add_task(f"retrying {count(failed, 'job')}", total=None)
                moved = await opened.retry_jobs()
            if call.json:
                print_json({"queue": queue, "count": moved})
            else:
                print_line(f"{count(moved, 'job')} moved back to waiting.")
            return ExitCode.DONE
        return await each_job(call, opened, job_ids or [], "retried", opened.actions.retry)


@command(
    examples="""
    toril jobs remove email 41 42        asks first
    toril jobs remove email 41 --yes     for a script
    """
)
async def remove_jobs(
    call: Call,
    queue: QueueName,
    job_ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of jobs.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
) -> int:
    """Delete jobs, whatever state they are in.

    Their data, result and log go with them. A job that a worker holds stays.
    """
    async with call.queue(queue) as opened:
        await require_queue(call, opened)
        named = ", ".join(job_ids[:_NAMED]) + (", …" if len(job_ids) > _NAMED else "")
        confirm(
            f"delete {count(len(job_ids), 'job')} of queue {queue!r} on {opened.server}: {named}",
            yes=yes,
            as_json=call.json,
        )

        async def remove(job_id: str) -> None:
            if await opened.get_job(job_id) is None:
                raise _missing(queue, job_id)
            await opened.actions.remove(job_id)

        return await each_job(call, opened, job_ids, "removed", remove)


def require_which(job_ids: Sequence[str] | None, *, every: bool) -> None:
    """See to it that ids were given or all jobs are meant.

    Raises:
        CommandError: neither, or both.
    """
    if bool(job_ids) == every:
        hint = "give ids, or --all, but not both"
        raise CommandError("say which jobs", exit=ExitCode.USAGE, code="usage", hint=hint)


async def each_job(
    call: Call, queue: Queue, job_ids: Sequence[str], done: str, act: Callable[[str], Awaitable[None]]
) -> int:
    """Do something to each job, whatever becomes of the others, and tell of each."""
    good: list[str] = []
    bad: list[JobError] = []
    with progress(as_json=call.json) as display:
        task = display.add_task(f"{queue.name}: {done}", total=len(job_ids))
        for job_id in dict.fromkeys(job_ids):
            try:
                await act(job_id)
                good.append(job_id)
            except JobError as error:
                bad.append(error)
            display.advance(task)
    if call.json:
        errors = [{"id": error.job_id, "code": error.code, "message": str(error)} for error in bad]
        print_json({"queue": queue.name, done: good, "errors": errors})
    elif good:
        print_line(f"{count(len(good), 'job')} {done}.")
    if not bad:
        return ExitCode.DONE
    gone = all(isinstance(error, JobNotFoundError) for error in bad)
    raise CommandError(
        f"{len(bad)} of {count(len(good) + len(bad), 'job')} not {done}: " + "; ".join(map(str, bad)),
        exit=ExitCode.NOT_FOUND if gone else ExitCode.FAILED,
        code=bad[0].code if len(bad) == 1 or gone else "some_failed",
    )


def _missing(queue: str, job_id: str) -> JobNotFoundError:
    return JobNotFoundError(
        job_id,
        f"queue {queue!r} has no job {job_id!r}: it was never added, or was removed or trimmed by a keep policy",
    )
