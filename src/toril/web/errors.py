"""Which error gives which answer; the only place that knows.

TorilError
└── HttpError                 an error of the HTTP side, with its status
    ├── NotAuthenticated      401  no token, or one that is not good
    ├── Forbidden             403  the token does not allow this
    ├── NotFound              404  no such thing
    ├── Conflict              409  its state does not allow this
    └── TooManyRequests       429  too often; ``retry_after`` seconds

Errors of queues and records keep their code, and get a status from their class. A bad body or parameter is always a
400, never a 422. What a server's error says is for its log: whoever asked learns that it is away, not where it was.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from toril.db.errors import (
    DatabaseSchemaError,
    DatabaseUnavailableError,
    RecordConflictError,
    RecordNotFoundError,
)
from toril.errors import (
    ConfigurationError,
    JobLockedError,
    JobLockLost,
    JobNotFoundError,
    JobStateError,
    OptionError,
    PayloadError,
    QueueStateError,
    QueueUnavailableError,
    RetryableError,
    TorilError,
)
from toril.queues.problems import Problem, problem, shortened
from toril.web.answers import Json, failure
from toril.web.breaker import StillAwayError

log = logging.getLogger("toril.web")

#: Seconds after which to try again when a server is away.
RETRY_AFTER: Final = 2

_STATUS: Final[tuple[tuple[type[TorilError], int], ...]] = (
    (QueueUnavailableError, 503),
    (DatabaseUnavailableError, 503),
    (RetryableError, 503),
    (JobNotFoundError, 404),
    (RecordNotFoundError, 404),
    (JobStateError, 409),
    (JobLockedError, 409),
    (JobLockLost, 409),
    (QueueStateError, 409),
    (RecordConflictError, 409),
    (ConfigurationError, 500),
    (OptionError, 400),
)

_AWAY: Final = {
    "queue": "the queue server cannot be reached at the moment: try again shortly",
    "database": "the database cannot be reached at the moment: try again shortly",
    "other": "a service this needs is not available at the moment: try again shortly",
}

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_HTTP_CODES: Final = {
    400: "bad_request",
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
}


class HttpError(TorilError):
    """An error of the HTTP side.

    Args:
        code: instead of the class's own.
        details: the path of each field that is wrong, and what is wrong with it.
    """

    status: int = 500

    def __init__(
        self, message: str, *, code: str | None = None, details: Sequence[Problem] | None = None
    ) -> None:
        self.code = code or type(self).code
        self.details = details
        self.headers: dict[str, str] = {}
        super().__init__(message)


class NotAuthenticated(HttpError):
    """Nobody is signed in, or the token is not good (any more)."""

    code, status = "not_authenticated", 401

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(HttpError):
    """The role or the key does not allow this."""

    code, status = "forbidden", 403


class NotFound(HttpError):
    """There is no such thing, or it is another firm's."""

    code, status = "not_found", 404


class Conflict(HttpError):
    """The state of something does not allow this."""

    code, status = "conflict", 409


class TooManyRequests(HttpError):
    """Asked too often; ``retry_after`` is in seconds."""

    code, status = "too_many_requests", 429

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = max(1, math.ceil(retry_after))
        self.headers = {"Retry-After": str(self.retry_after)}


class Overloaded(HttpError):
    """The server is too busy for this now."""

    code, status = "overloaded", 503

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers = {"Retry-After": str(RETRY_AFTER)}


def answer_to(error: TorilError) -> Json:
    """The answer to a request that raised ``error``."""
    if isinstance(error, HttpError):
        return failure(error.status, error.code, str(error), error.details, error.headers)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status == 503:
        wait = getattr(error, "retry_after", None) or RETRY_AFTER
        return failure(503, error.code, _away(error), None, {"Retry-After": str(math.ceil(wait))})
    if status == 500:
        log.error("request_failed: %s", error, extra={"code": error.code}, exc_info=error)
        return failure(500, error.code, _faulty(error))
    details = [problem(error.field, str(error))] if isinstance(error, PayloadError) and error.field else None
    return failure(status, error.code, str(error), details)


def answer_to_bad_request(error: RequestValidationError, request: Request) -> Json:
    """The answer to a body or parameters that do not fit. Names the fields, and never repeats their values."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    problems = error.errors()
    whole_body = any(tuple(problem["loc"]) == ("body",) for problem in problems)
    if whole_body and sent not in ("", "application/json"):
        return failure(415, "unsupported_media_type", "send JSON with Content-Type: application/json")
    if any(problem["type"] == "json_invalid" for problem in problems):
        text = "the body is not JSON"
        return failure(400, "bad_json", text, [("body", text)])
    found = shortened(problems) or [("body", "cannot be read")]
    return failure(400, "bad_request", ": ".join(found[0]), found)


def install(app: FastAPI) -> None:
    """Let ``app`` answer all errors this way."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, TorilError)
        web = getattr(request.app.state, "toril", None)
        if web is not None and isinstance(error, QueueUnavailableError) and not _was_not_asked(error):
            web.breaker.failed()
        return answer_to(error)

    async def bad_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer_to_bad_request(error, request)

    async def of_the_framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _HTTP_CODES.get(error.status_code, "http_error")
        headers = {"Allow": _methods_of(request)} if error.status_code == 405 else error.headers
        return failure(error.status_code, code, str(error.detail), None, headers)

    app.add_exception_handler(TorilError, ours)
    app.add_exception_handler(RequestValidationError, bad_request)
    app.add_exception_handler(HTTPException, of_the_framework)


def _methods_of(request: Request) -> str:
    """The methods of the path that was asked for; the framework knows those of the first endpoint it finds."""
    routes = request.app.router.routes
    able = [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return ", ".join(able)


def _away(error: TorilError) -> str:
    if not _was_not_asked(error):
        log.warning("service_away: %s", error, extra={"code": error.code})
    if isinstance(error, QueueUnavailableError):
        return _AWAY["queue"]
    return _AWAY["database" if isinstance(error, DatabaseUnavailableError) else "other"]


def _was_not_asked(error: TorilError) -> bool:
    return isinstance(error, StillAwayError)


def _faulty(error: TorilError) -> str:
    if isinstance(error, DatabaseSchemaError):
        return "the database has not the tables of this version: run toril db upgrade"
    if isinstance(error, ConfigurationError):
        return "a setting of the server is missing or wrong; its log says which"
    return "something went wrong on the server; its log has more"
