"""Which job is running here."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from toril.errors import QueueStateError

if TYPE_CHECKING:
    from toril.engine.job import Job

running_job: ContextVar[Job[Any]] = ContextVar("toril_running_job")


def current_job() -> Job[Any]:
    """The job that the calling processor runs, also from functions it calls.

    Raises:
        QueueStateError: called outside of a processor.
    """
    try:
        return running_job.get()
    except LookupError:
        raise QueueStateError("current_job() was called outside of a running job") from None
