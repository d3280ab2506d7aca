"""An answer of an outside service: its JSON with exact numbers, and what of it may be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from typing import Any

from toril.errors import RetryableError, UnknownOutcomeError
from toril.queues.retry_after import retry_after_seconds

#: Where services say what is wrong, in the order in which it reads best.
_SAYINGS = ("code", "type", "name", "status", "error", "error_description", "title", "message", "detail")
#: IBANs; national ids, phone and card numbers.
_PERSONAL = re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b|[0-9]{9,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorAnswer:
    """One whole answer, whatever its status.

    Attributes:
        vendor: the service's name.
        operation: what was asked, for messages.
        headers: by name in any case.
        repeatable: as for ``VendorClient.request``.
        secrets: texts that must not be shown.
    """

    vendor: str
    operation: str
    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    repeatable: bool
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, an hour at most, if the service says so."""
        return retry_after_seconds(self.headers.get("retry-after"), now=datetime.now(UTC))

    def json_or_none(self) -> Any:
        """The body as JSON, numbers with a point as ``Decimal``; ``None`` when it is none (or ``null``)."""
        try:
            return json.loads(self.content, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, RecursionError, DecimalException):  # the last for exponents beyond all measure
            return None

    def json(self) -> Any:
        """The body as JSON, numbers with a point as ``Decimal``.

        Raises:
            RetryableError: it is none: a proxy's page, or cut short.
            UnknownOutcomeError: it is none, and the request must not be sent again.
        """
        found = self.json_or_none()
        if found is None and self.content.strip() != b"null":
            raise self._senseless(f"{self.kind} instead of JSON")
        return found

    def object(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            RetryableError, UnknownOutcomeError: it is none; see ``json``.
        """
        found = self.json()
        if not isinstance(found, dict):
            raise self._senseless("JSON that is no object")
        return found

    def _senseless(self, what: str) -> RetryableError | UnknownOutcomeError:
        if self.repeatable:
            return RetryableError(f"{self} and {what}; trying again later", retry_after=self.retry_after)
        return UnknownOutcomeError(
            f"{self} and {what}, which leaves open whether it was done. Look it up there"
        )

    @property
    def kind(self) -> str:
        """What the body is, for messages."""
        if not self.content.strip():
            return "nothing"
        declared = str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()
        return f"{len(self.content)} bytes of {self.show(declared) or 'no declared type'}"

    def said(self, *, limit: int = 300) -> str:
        """What the service's JSON says is wrong, fit to be shown; empty when it is no such JSON."""
        body = self.json_or_none()
        return self.show("; ".join(dict.fromkeys(_sayings(body))), limit=limit)

    def show(self, text: str, *, limit: int = 300) -> str:
        """``text`` of the service on one line, without our secrets and people's numbers, cut to ``limit``."""
        line = " ".join(_CONTROL.sub(" ", redact(text, self.secrets)).split())
        line = line.encode(
            "utf-8", "replace"
        ).decode()  # halves of characters can neither be logged nor stored
        line = _PERSONAL.sub(lambda found: f"…{found[0][-4:]}", line)
        return line if len(line) <= limit else f"{line[: limit - 1]}…"

    def __str__(self) -> str:
        said = self.said()
        return f"{self.vendor} answered {self.operation} with HTTP {self.status}" + (
            f" ({said})" if said else ""
        )


def redact(text: str, secrets: Iterable[str]) -> str:
    """``text`` with each of ``secrets`` blotted out; those under four characters would blot out words."""
    for secret in sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text


def _sayings(body: Any) -> list[str]:
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, dict):
        return []
    found = []
    for name in _SAYINGS:
        value = body.get(name)
        if isinstance(value, dict):
            found += _sayings(value)
        elif isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            found.append(str(value))
    if not found and isinstance(body.get("errors"), list):
        return _sayings(body["errors"])
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
