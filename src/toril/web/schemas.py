"""Shapes of bodies: camelCase in JSON, snake_case in Python; and how errors appear in the API's description."""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from toril.queues.problems import refuse_crowds

T = TypeVar("T")

#: A moment in an answer, as in Bull's jobs. Days, which have no moment, are texts such as 2026-03-31.
Moment = Annotated[int, Field(description="Milliseconds since 1970.", examples=[1_767_225_600_000])]


class Model(BaseModel):
    """Base of all bodies. What is not known is refused, so that a misspelt name is not silently ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_crowds(cls, given: Any) -> Any:
        return refuse_crowds(cls, given) if cls.model_config.get("extra") == "forbid" else given


class Answer(Model, Generic[T]):
    """What every successful request gets."""

    success: Literal[True] = True
    data: T


class FieldProblem(Model):
    """A field, by its path, and what is wrong with it."""

    field: Annotated[str, Field(examples=["data.maxAgeHours"])]
    message: str


class ErrorBody(Model):
    """What went wrong; ``code`` is stable, ``message`` is for people, ``details`` tell of fields."""

    code: str
    message: str
    details: list[FieldProblem] | None = None


class ErrorAnswer(Model):
    """What every failed request gets."""

    success: Literal[False] = False
    error: ErrorBody


#: Each status the API answers errors with: when, and an example of its code and message.
STATUSES: Final[dict[int, tuple[str, str, str]]] = {
    400: ("The body, a parameter or an option is wrong.", "bad_request", "body.data: Field required"),
    401: (
        "No token, or one that is not good (any more).",
        "not_authenticated",
        "sign in first: send a token",
    ),
    403: ("The token does not allow this.", "forbidden", "this needs the role admin"),
    404: ("There is no such thing, or it is another firm's.", "job_not_found", "queue 'pdf' has no job '41'"),
    405: ("The path has no such method.", "method_not_allowed", "Method Not Allowed"),
    409: (
        "Its state does not allow this.",
        "job_state",
        "job '41' is completed, and only failed jobs are retried",
    ),
    413: ("The body is too large.", "body_too_large", "the body is larger than the 65536 bytes allowed"),
    415: ("The body is not JSON.", "unsupported_media_type", "send JSON with Content-Type: application/json"),
    429: (
        "Too often; `Retry-After` says when.",
        "too_many_requests",
        "too many attempts: try again in 90 seconds",
    ),
    500: ("A fault of the server; its log has more.", "internal_error", "something went wrong on the server"),
    503: (
        "The queue server or the database is away; `Retry-After` says when to try again.",
        "queue_unavailable",
        "the queue server cannot be reached at the moment: try again shortly",
    ),
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of an endpoint that may answer with these statuses."""
    return {status: _described(*STATUSES[status]) for status in statuses}


def _described(when: str, code: str, message: str) -> dict[str, Any]:
    example = {"success": False, "error": {"code": code, "message": message}}
    return {
        "model": ErrorAnswer,
        "description": when,
        "content": {"application/json": {"example": example}},
    }
