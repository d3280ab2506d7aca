"""Wathq's interface to the commercial register. Each question is billed, so answers are kept for a day."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Final

from toril.errors import RetryableError, UnrecoverableError
from toril.queues.sync.http import VendorClient
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain

LIVE_URL: Final = "https://api.wathq.sa"

_KEPT_FOR: Final = 24 * 3600.0  #: seconds
_MOST_KEPT: Final = 1000
#: Its error codes begin with an HTTP status, and come as JSON, as XML, or inside another error's message.
_NOT_FOUND_CODE: Final = re.compile(rb"(?<![0-9.])404\.[0-9]+\.[0-9]+")


class NoAnswerError(RetryableError):
    """HTTP 500 with nothing: Wathq does so for numbers that it cannot match, but not for them alone."""


class Wathq:
    """Wathq, with the consumer key of an application that is subscribed to the commercial register.

    Args:
        base_url: of the sandbox, a proxy or a test, instead of the live system's.
        mono: seconds of a clock that never goes back.
    """

    def __init__(
        self, api_key: str, *, base_url: str | None = None, mono: Callable[[], float] = time.monotonic
    ) -> None:
        self._key, self._mono = api_key, mono
        self._client = VendorClient("Wathq", base_url or LIVE_URL, read_timeout=20, total_timeout=25)
        self._kept: dict[tuple[str, str], tuple[float, dict[str, Any] | None]] = {}

    async def national_number(self, cr_number: str) -> str | None:
        """The unified national number of a commercial registration; None when there is no such registration.

        Raises:
            As ``registration``.
        """
        body = await self._get(f"/commercial-registration/crNationalNumber/{cr_number}", "")
        if body is None:
            return None
        found = body.get("crNationalNumber")
        if not isinstance(found, str) or re.fullmatch(r"[0-9]{10}", found) is None:
            raise RetryableError("Wathq answered a look-up without a national number; trying again later")
        return found

    async def registration(self, national_number: str, *, language: str) -> dict[str, Any] | None:
        """What the register says of a company, as it came; None when there is no such company.

        Args:
            language: ``ar`` or ``en``.

        Raises:
            NotConfiguredError: Wathq refuses the key, or it is not subscribed to the register.
            UnrecoverableError: Wathq refuses the question.
            NoAnswerError: it failed without a word.
            RetryableError: it is away, limits us or answers nonsense.
        """
        return await self._get(
            f"/commercial-registration/info/{national_number}", language, number=national_number
        )

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        await self._client.close()

    async def _get(self, path: str, language: str, *, number: str | None = None) -> dict[str, Any] | None:
        now = self._mono()
        good_until, kept = self._kept.get((path, language), (0.0, None))
        if now < good_until:
            return kept
        answer = await self._client.request(
            "GET",
            path,
            operation="the question about a company",
            repeatable=True,
            params={"language": language} if language else {},
            secret_headers={"apiKey": self._key},
        )
        found = _read(answer)
        if number is not None and found is not None:
            _require_company(answer, found, number)
        if len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[path, language] = (now + _KEPT_FOR, found)
        return found


def _require_company(answer: VendorAnswer, found: dict[str, Any], number: str) -> None:
    """Refuse what is no company, or another one: no verdict may come of it.

    Raises:
        RetryableError: it is.
    """
    if str(found.get("crNationalNumber") or number) != number:
        raise RetryableError(f"{answer}, but with another company; trying again later")
    status = found.get("status")
    if not isinstance(status, dict) or not (status.get("name") or status.get("id")):
        raise RetryableError(f"{answer}, but without a company's status; trying again later")


def _read(answer: VendorAnswer) -> dict[str, Any] | None:
    if answer.is_success:
        return answer.object()
    if answer.status == 404:
        if answer.content.strip() and not _NOT_FOUND_CODE.search(answer.content):
            raise UnrecoverableError(f"{answer}, which is not about the company. Check WATHQ_URL")
        return None
    if answer.status == 400 and _NOT_FOUND_CODE.search(answer.content):
        return None
    if answer.status == 500 and not answer.content.strip():
        raise NoAnswerError(f"{answer} and nothing else")
    raise explain(answer, settings="WATHQ_API_KEY, and its subscription to the commercial register")
