"""Lean's interface: the access token, the pages of an account's transactions, and what its states mean.

Source: Lean's published OpenAPI documents for Saudi Arabia, data API v2.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from toril.errors import RetryableError, UnrecoverableError
from toril.queues.sync.access_token import AccessToken
from toril.queues.sync.http import VendorClient
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain, jittered, passing

LIVE_URL: Final = "https://api2.sa.leantech.me"
LIVE_AUTH_URL: Final = "https://auth.sa.leantech.me"
PAGE_SIZE: Final = 100  #: the most there is
_SETTINGS: Final = "LEAN_CLIENT_ID, LEAN_CLIENT_SECRET and LEAN_APP_TOKEN"

_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
#: Seconds until a bank can be asked again, by what keeps it from answering; None is the job's own backoff.
_PASSING: Final = {
    "BANK_ISSUE": None,
    "BANK_MAINTENANCE": 600.0,
    "UNSEEN_BANK_ERROR": None,
    "LEAN_ERROR": None,
    "DUPLICATED_REQUEST": 60.0,
    "LOGGED_IN_ELSEWHERE": 600.0,
    "ACTIVE_SESSION_EXISTS": 600.0,
}


class ConsentExpiredError(UnrecoverableError):
    """The account's owner must allow access to it again."""

    code = "consent_expired"


class BankFailedError(RetryableError):
    """The bank could not be read this time; the answer under a promised id is this one for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankPage:
    """One page of transactions, as they came.

    Attributes:
        is_pending: the bank has not answered yet, so there are none.
        results_id: where they will be found then.
    """

    number: int = 0
    pages: int = 1
    transactions: list[Any] = field(default_factory=list)
    is_pending: bool = False
    results_id: str | None = None


class Lean:
    """Lean's API, with the credentials of an application.

    Args:
        app_token: the application's id.
        base_url, auth_url: of the sandbox, a proxy or a test, instead of the live system's.
        tls: with a client certificate, where Lean asks for one.
        mono: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        app_token: str,
        *,
        base_url: str | None = None,
        auth_url: str | None = None,
        tls: ssl.SSLContext | None = None,
        total_timeout: float = 50.0,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app_token
        self._api = VendorClient(
            "Lean",
            base_url or LIVE_URL,
            read_timeout=total_timeout,
            total_timeout=total_timeout,
            verify=tls or True,
        )
        auth = VendorClient(
            "Lean", auth_url or LIVE_AUTH_URL, read_timeout=15, total_timeout=20, verify=tls or True
        )
        self._access = AccessToken(
            auth,
            "/oauth2/token",
            client_id,
            client_secret,
            settings=_SETTINGS,
            more={"scope": "api"},
            mono=mono,
        )

    async def transactions(
        self, account_id: str, entity_id: str, *, start: date, end: date, page: int
    ) -> BankPage:
        """One page of the transactions of some days, both included; pages count from 0.

        Raises:
            ConsentExpiredError: the owner must allow it again.
            UnrecoverableError: Lean refuses the question.
            NotConfiguredError: it refuses our credentials.
            RetryableError: the bank or Lean is away, limits us or answers nonsense.
        """
        if _PLAIN_ID.fullmatch(account_id) is None:
            raise UnrecoverableError("the account's id is none of Lean's")
        answer = await self._get(
            f"/data/v2/accounts/{account_id}/transactions",
            operation="reading transactions",
            params={
                "entity_id": entity_id,
                "start_date": start.isoformat(),
                "end_date": end.isoformat(),
                "page": page,
                "size": PAGE_SIZE,
                "verbose": "true",
            },
        )
        return _read(answer, page)

    async def results(self, results_id: str, *, page: int) -> BankPage | None:
        """The page that was promised under an id; None when Lean does not know it any more. Raises as above."""
        if _PLAIN_ID.fullmatch(results_id) is None:
            return None
        answer = await self._get(f"/data/v2/results/{results_id}", operation="reading a result", params={})
        return None if answer.status == 404 else _read(answer, page)

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        await self._api.close()
        await self._access.close()

    async def _get(self, path: str, *, operation: str, params: dict[str, str | int]) -> VendorAnswer:
        token = await self._access.get()
        answer = await self._ask(path, operation, params, token)
        if answer.status == 401:  # ended before its time
            answer = await self._ask(path, operation, params, await self._access.get(not_this=token))
        return answer

    async def _ask(self, path: str, operation: str, params: dict[str, str | int], token: str) -> VendorAnswer:
        return await self._api.request(
            "GET",
            path,
            operation=operation,
            repeatable=True,
            params=params,
            secret_headers={"Authorization": f"Bearer {token}", "lean-app-token": self._app},
        )


def _read(answer: VendorAnswer, page: int) -> BankPage:
    if answer.status == 409:  # the same question is being worked
        raise passing(answer, wait=60.0)
    if not answer.is_success:
        raise explain(answer, settings=f"{_SETTINGS}, and whether the owner's consent covers transactions")
    body = answer.object()
    status = body.get("status")
    if status == "PENDING":
        return BankPage(number=page, is_pending=True, results_id=str(body.get("results_id") or "") or None)
    if status == "CONSENT_EXPIRED":
        raise ConsentExpiredError(
            "the owner's consent at the bank has ended: the account must be connected again"
        )
    if status != "OK":
        raise _failure(answer, body)
    data = body.get("data")
    where = data.get("page") if isinstance(data, dict) else None
    listed = data.get("transactions") if isinstance(data, dict) else None
    if not isinstance(where, dict) or not isinstance(listed, list):
        raise RetryableError(f"{answer}, but without a page of transactions; trying again later")
    number, pages = where.get("number"), where.get("total_pages")
    if number != page or not isinstance(pages, int):
        raise RetryableError(f"{answer}, but with the page {number!r} instead of {page}; trying again later")
    return BankPage(number=page, pages=pages, transactions=listed)


def _failure(answer: VendorAnswer, body: dict[str, Any]) -> RetryableError | UnrecoverableError:
    """A bank that could not be read; Lean says so with HTTP 200."""
    detail = body.get("status_detail")
    code = str(detail.get("granular_status_code") or "") if isinstance(detail, dict) else ""
    text = f"Lean could not read the bank: {answer.show(code or str(body.get('status')))}"
    if code in _PASSING or not code:
        wait = answer.retry_after if answer.retry_after is not None else _PASSING.get(code)
        return BankFailedError(
            f"{text}; trying again later", retry_after=None if wait is None else jittered(wait)
        )
    return UnrecoverableError(text)
