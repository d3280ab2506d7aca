"""What Resend's answers mean for a job, by the error's name first and the status second."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from toril.errors import NotConfiguredError, PostponedError, RetryableError, TorilError, UnrecoverableError
from toril.queues.email.providers.base import BatchRefusedError, ProviderBusyError, QuotaUsedUpError
from toril.queues.retry_after import retry_after_seconds

_DAILY_QUOTA_WAIT = 3600.0  #: seconds between looks whether there is a new one
_BUSY_WAIT = 1.0  #: seconds, when it does not say; Resend counts by the second
_SAME_KEY_WAIT = 3.0  #: seconds until the first request under the same key should be through

_ACCOUNT_NAMES = {"missing_api_key", "restricted_api_key", "invalid_api_key", "monthly_quota_exceeded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer other than success. ``name`` and ``message`` are empty when it is not Resend's JSON."""

    status: int
    name: str
    message: str
    retry_after: float | None  #: seconds

    @classmethod
    def read(cls, response: httpx.Response) -> Refusal:
        """Take the facts out of ``response``, whatever it is: a gateway's HTML page has only a status."""
        body: Any = None
        try:
            body = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            pass
        known = body if isinstance(body, dict) else {}
        return cls(
            status=response.status_code,
            name=_line(known.get("name")),
            message=_line(known.get("message")),
            retry_after=retry_after_seconds(response.headers.get("retry-after"), now=datetime.now(UTC)),
        )

    def __str__(self) -> str:
        said = ": ".join(part for part in (self.name, self.message) if part)
        return f"HTTP {self.status}" + (f", {said}" if said else "")


def _line(value: Any) -> str:
    """A text on one line, without what cannot be shown, or stored, such as NUL."""
    line = " ".join(str(value or "").split())
    return "".join(char for char in line if char.isprintable())[:300]


def explain(refusal: Refusal) -> TorilError:
    """The error a job fails with."""
    name, status = refusal.name, refusal.status
    if name == "daily_quota_exceeded":
        return QuotaUsedUpError(
            f"Resend's daily quota is used up ({refusal})", retry_after=_with_jitter(_DAILY_QUOTA_WAIT)
        )
    if name in _ACCOUNT_NAMES or status in (401, 403):
        return NotConfiguredError(
            f"Resend refuses this account ({refusal}). Check RESEND_API_KEY, the plan, and that the domain "
            "of FROM_EMAIL is verified"
        )
    if name == "concurrent_idempotent_requests":
        return PostponedError(
            f"Resend is still busy with this mail ({refusal})", retry_after=_with_jitter(_SAME_KEY_WAIT)
        )
    if name == "invalid_idempotent_request":
        return UnrecoverableError(
            f"Resend got another mail under this job's id in the last 24 hours ({refusal}). Job ids must be "
            "unique among all that share the account: give each environment its own key_prefix"
        )
    if status == 429:
        wait = _BUSY_WAIT if refusal.retry_after is None else refusal.retry_after
        return ProviderBusyError(f"Resend takes no mail now ({refusal})", retry_after=_with_jitter(wait))
    if status in (408, 425) or status >= 500:
        later = refusal.retry_after
        return RetryableError(
            f"Resend cannot take the mail now ({refusal})",
            retry_after=None if later is None else _with_jitter(later),
        )
    if 300 <= status < 400:
        return NotConfiguredError(f"Resend's address answers with a redirect ({refusal}); check base_url")
    return UnrecoverableError(f"Resend refused the mail ({refusal})")


def explain_batch(refusal: Refusal) -> TorilError:
    """The same for a batch, where a refusal of the request may be about one of its mails."""
    error = explain(refusal)
    if type(error) is UnrecoverableError and refusal.status in (400, 413, 422):
        return BatchRefusedError(str(error))
    return error


def _with_jitter(seconds: float) -> float:
    # Up to a quarter more, so that all that were turned away do not come back at once.
    return seconds * random.uniform(1.0, 1.25)  # noqa: S311 - not for secrets
