"""Functions for children that are killed while they work."""

from __future__ import annotations

import time
from typing import Any


def work(job: Any) -> Any:
    """Takes a moment, and ends as the job's data says."""
    time.sleep(job.data["seconds"])
    if job.data["end"] == "fail":
        raise LookupError(f"no {job.data['number']}")
    if job.data["end"] == "hang":
        time.sleep(1000)
    return {"number": job.data["number"], "text": "x" * job.data["size"]}
