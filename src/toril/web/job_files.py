"""The file that a job has made."""

from __future__ import annotations

from typing import Any

from toril.service import QueueService
from toril.web.errors import Conflict, NotFound
from toril.web.files import LinkedFile


class NotReady(Conflict):
    """The job has not ended, or not well."""

    code = "not_ready"


class NoFile(NotFound):
    """The job makes no file."""

    code = "no_file"


async def find_job_file(
    service: QueueService, queue: str, job_id: str, *, firm_id: str | None = None
) -> LinkedFile:
    """What a job's result says it has stored.

    Args:
        firm_id: only of a job with this firm's data.

    Raises:
        NotFound: there is no such job, it is another firm's, or it makes no file.
        NotReady: it has not completed.
    """
    status = await service.get_job_status(queue, job_id)
    if status is None or firm_id not in (None, _firm_of(status["data"])):
        raise NotFound(f"queue {queue!r} has no job {job_id!r}: never added, removed, or trimmed")
    if status["state"] != "completed":
        raise NotReady(f"job {job_id!r} of queue {queue!r} is {status['state']}: its file is not there")
    result = status["returnValue"]
    path = result.get("filePath") if isinstance(result, dict) else None
    if not isinstance(path, str):
        raise NoFile(f"job {job_id!r} of queue {queue!r} makes no file")
    return LinkedFile(path=path, name=str(result.get("fileName") or "file"))


def _firm_of(data: Any) -> Any:
    inner = data.get("data") if isinstance(data, dict) else None
    return inner.get("firmId") if isinstance(inner, dict) else None
