"""What an outside service's status means for a job, when the service's own module knows nothing better."""

from __future__ import annotations

import random

from toril.errors import (
    NotConfiguredError,
    RetryableError,
    TorilError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.sync.vendor_answer import VendorAnswer


def explain(answer: VendorAnswer, *, settings: str) -> TorilError:
    """The error for an answer that is no success.

    ========================  ===========================================================
    401, 403, and redirects   ``NotConfiguredError``: retrying cannot help, somebody must look
    408, 425, 429, 5xx        ``RetryableError``, after ``Retry-After`` if that was sent
    anything else             ``UnrecoverableError``
    ========================  ===========================================================

    When the request must not be sent again, an answer that leaves open whether it was done (408, and 5xx except 503)
    is an ``UnknownOutcomeError``.

    Args:
        settings: what somebody should check when the service refuses us: ``WATHQ_API_KEY``.
    """
    status = answer.status
    if status in (401, 403):
        return NotConfiguredError(f"{answer}: it refuses our access. Check {settings}")
    if 300 <= status < 400:
        return NotConfiguredError(
            f"{answer}, a redirect, which is not followed. Check the base URL and {settings}"
        )
    if not answer.repeatable and (status == 408 or (status >= 500 and status != 503)):
        return UnknownOutcomeError(
            f"{answer}, which leaves open whether it was done. Look it up at {answer.vendor}"
        )
    if status in (408, 425, 429) or status >= 500:
        return passing(answer)
    return UnrecoverableError(f"{answer}")


def passing(answer: VendorAnswer, *, wait: float | None = None) -> RetryableError:
    """The error for a fault that will pass: after ``Retry-After``, else ``wait`` seconds, else the job's backoff."""
    seconds = answer.retry_after if answer.retry_after is not None else wait
    return RetryableError(
        f"{answer}; trying again later", retry_after=None if seconds is None else jittered(seconds)
    )


def jittered(seconds: float) -> float:
    """Up to a quarter more, so that all that were turned away do not come back at once."""
    return seconds * random.uniform(1.0, 1.25)  # noqa: S311 - not for secrets
