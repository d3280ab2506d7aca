"""What the records and files of a report job are called: the same in every run of the job, and no other job's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from toril.db.ids import is_id
from toril.queues.base import RunningJob
from toril.queues.job_key import job_key

QUEUE: Final = "report"

_KEY: Final = 16  #: characters


@dataclass(frozen=True, slots=True)
class JobNames:
    """The names that belong to a job of a firm."""

    report_id: str  #: of the saved report, unless the job was given one
    file_id: str
    key: str  #: in the names of files

    @classmethod
    def of(cls, job: RunningJob, firm_id: str) -> JobNames:
        """Work them out from what names the job for ever."""
        digest = _digest(f"{firm_id}:{job_key(QUEUE, job)}")
        return cls(report_id=_id(digest, job), file_id=_id(_digest(digest), job), key=digest[:_KEY])


@dataclass(frozen=True, slots=True)
class Claim:
    """The report that a job's data is about, whatever else may be wrong with the data."""

    type: str
    firm_id: str
    report_id: str | None

    @classmethod
    def of(cls, data: Any) -> Claim | None:
        """Read it; None when the data does not tell."""
        inner = data.get("data") if isinstance(data, Mapping) else None
        if not isinstance(inner, Mapping):
            return None
        type, firm_id, report_id = data.get("type"), inner.get("firmId"), inner.get("reportId")
        if not isinstance(type, str) or not isinstance(firm_id, str) or not isinstance(report_id, str | None):
            return None
        firm_id, report_id = firm_id.strip().lower(), report_id and report_id.strip().lower()
        if not is_id(firm_id) or not (report_id is None or is_id(report_id)):
            return None
        return cls(type, firm_id, report_id)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _id(digest: str, job: RunningJob) -> str:
    """A record's id; it sorts by when the job was added, as other ids do."""
    added_ms = getattr(job, "timestamp", None)
    return f"{int(added_ms) // 1000 & 0xFFFFFFFF:08x}{digest[:16]}" if added_ms else digest[:24]
