"""A name for one job that no other job ever has."""

from __future__ import annotations

import hashlib
import re

from toril.queues.base import RunningJob

_LONGEST = 200  #: characters
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def job_key(queue: str, job: RunningJob) -> str:
    """``<queue>:<id>:<ms when it was added>``; a digest of it when that is long.

    An id alone does not do: Bull counts from 1 again when a queue is obliterated.
    """
    added = getattr(job, "timestamp", None)
    key = f"{queue}:{job.id}" if added is None else f"{queue}:{job.id}:{added}"
    if len(key) <= _LONGEST and key.isprintable():
        return key
    return f"{queue}:sha256-{hashlib.sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()}"


def job_token(purpose: str, job: RunningJob) -> str:
    """The same as a token for headers and addresses: letters, digits, ``-`` and ``_``; ``msg_<id>_<ms>``."""
    key = job_key(purpose, job)
    if _PLAIN_ID.fullmatch(job.id) and key.isascii() and "." not in key:
        return key.replace(":", "_")
    return f"{purpose}_{hashlib.sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()[:32]}"
