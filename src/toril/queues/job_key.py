"""A name for one job that no other job ever has."""

from __future__ import annotations

import hashlib

from toril.queues.base import RunningJob

_LONGEST = 200  #: characters


def job_key(queue: str, job: RunningJob) -> str:
    """``<queue>:<id>:<ms when it was added>``; a digest of it when that is long.

    An id alone does not do: Bull counts from 1 again when a queue is obliterated.
    """
    added = getattr(job, "timestamp", None)
    key = f"{queue}:{job.id}" if added is None else f"{queue}:{job.id}:{added}"
    if len(key) <= _LONGEST and key.isprintable():
        return key
    return f"{queue}:sha256-{hashlib.sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()}"
