"""The file that a job has made."""

from __future__ import annotations

from toril.db.repositories.reports import Files
from toril.db.session import Database
from toril.queues.storage import FileStore
from toril.queues.texts import storable
from toril.service import QueueService
from toril.web.errors import Conflict, NotFound
from toril.web.files import LinkedFile
from toril.web.firm_jobs import firm_of


class NotReady(Conflict):
    """The job has not ended, or not well."""

    code = "not_ready"


class NoFile(NotFound):
    """The job makes no file."""

    code = "no_file"


async def find_job_file(
    service: QueueService,
    files: FileStore,
    database: Database,
    queue: str,
    job_id: str,
    *,
    firm_id: str | None = None,
    owned: bool = False,
) -> LinkedFile:
    """What a job's result says it has stored; of a job that is gone, what was noted when it was stored.

    Args:
        firm_id: only a file that was stored for this firm. That is judged by its place, where the worker put it: the
            data of a job is what people wrote.
        owned: whoever asks may know of the job, though its data names no firm.

    Raises:
        NotFound: there is no such job, it is another firm's, or it makes no file.
        NotReady: it has not completed.
    """
    status = await service.get_job_status(queue, job_id)
    missing = NotFound(f"queue {queue!r} has no job {job_id!r}: never added, removed, or trimmed")
    if status is None:
        async with database.reading() as session:
            noted = await Files(session).list_of_job(queue, job_id, firm_id=firm_id)
        if not noted:
            raise missing
        return LinkedFile(path=noted[0].path, name=noted[0].name)
    if not owned and firm_id not in (None, firm_of(status["data"])):
        raise missing
    if status["state"] != "completed":
        raise NotReady(f"job {job_id!r} of queue {queue!r} is {status['state']}: its file is not there")
    result = status["returnValue"]
    path = result.get("filePath") if isinstance(result, dict) else None
    if not isinstance(path, str):
        raise NoFile(f"job {job_id!r} of queue {queue!r} makes no file")
    if firm_id is not None and files.firm_of(path) != firm_id:
        raise missing
    return LinkedFile(path=path, name=storable(str(result.get("fileName") or "file")))
