"""Which error gives which answer, and what answers can hold."""

from __future__ import annotations

import json

import pytest

import toril.db.errors as records
import toril.errors as errors
from toril.web.answers import Json
from toril.web.errors import Conflict, Forbidden, NotAuthenticated, NotFound, TooManyRequests, answer_to


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.OptionError("x"), 400, "bad_option"),
        (errors.PayloadError("x", field="data.to"), 400, "bad_payload"),
        (errors.DataError("x"), 400, "bad_data"),
        (records.RecordValueError("x"), 400, "bad_value"),
        (NotAuthenticated("x"), 401, "not_authenticated"),
        (Forbidden("x"), 403, "forbidden"),
        (NotFound("x"), 404, "not_found"),
        (errors.JobNotFoundError("1", "x"), 404, "job_not_found"),
        (records.RecordNotFoundError("report", "1"), 404, "record_not_found"),
        (Conflict("x"), 409, "conflict"),
        (errors.JobStateError("1", "x"), 409, "job_state"),
        (errors.JobLockedError("1", "x"), 409, "job_locked"),
        (errors.QueueStateError("x"), 409, "queue_state"),
        (records.RecordConflictError("x"), 409, "record_conflict"),
        (TooManyRequests("x", retry_after=1.2), 429, "too_many_requests"),
        (errors.ConfigurationError("x"), 500, "configuration"),
        (records.DatabaseSchemaError("x"), 500, "database_schema"),
        (errors.TorilError("x"), 500, "error"),
        (errors.QueueUnavailableError("redis://here"), 503, "queue_unavailable"),
        (errors.ServerRefusedError("redis://here"), 503, "server_refused"),
        (records.DatabaseUnavailableError("postgresql://here"), 503, "database_unavailable"),
        (errors.RetryableError("x", retry_after=7), 503, "retryable"),
    ],
)
def test_each_error_has_its_status(error: errors.TorilError, status: int, code: str) -> None:
    answer = answer_to(error)
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, body["error"]["code"], body["success"]) == (status, code, False)
    assert "here" not in body["error"]["message"]
    waits = {429: "2", 503: "7" if code == "retryable" else "2"}
    assert answer.headers.get("retry-after") == waits.get(status)


def test_json_holds_what_a_job_may_hold() -> None:
    for value in (2**70, "\ud800", {"1": [None, True, 1.5]}):
        assert json.loads(bytes(Json({"value": value}).body)) == {"value": value}
