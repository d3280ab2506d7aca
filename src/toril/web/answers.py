"""What endpoints return: JSON written by orjson, in the envelope of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from starlette.responses import Response

from toril.queues.problems import Problem, cut

#: Characters of an error's message, which may quote what was sent.
_LONGEST_MESSAGE: Final = 12_000

_OPTIONS: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME

#: Levels of lists and objects in an answer.
_DEEPEST: Final = 200


class Json(Response):
    """A JSON body. Endpoints return it as it is, so nothing is validated or copied on the way out.

    Moments are milliseconds since 1970, as everywhere in Bull's jobs; days are texts such as ``2026-03-31``.
    """

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        try:
            return orjson.dumps(content, option=_OPTIONS, default=_plain)
        except TypeError:
            # Integers past 64 bits and halves of surrogate pairs, which a job's data may hold; and what is nested deep.
            return json.dumps(_shallow(content), default=_plain).encode()


def ok(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None, **beside: Any) -> Json:
    """``{"success": true, …beside, "data": data}``."""
    return Json({"success": True, **beside, "data": data}, status, headers)


def failure(
    status: int,
    code: str,
    message: str,
    details: Sequence[Problem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Json:
    """``{"success": false, "error": {"code", "message", "details"?}}``.

    Args:
        details: the path of each field that is wrong, and what is wrong with it; ``[{"field", "message"}]``.
    """
    error: dict[str, Any] = {"code": code, "message": cut(message, _LONGEST_MESSAGE)}
    if details:
        error["details"] = [{"field": field, "message": text} for field, text in details]
    return Json({"success": False, "error": error}, status, headers)


def _shallow(value: Any, levels: int = _DEEPEST) -> Any:
    """The value without what is nested too deep to be written: one job's data must not take the page's other jobs."""
    if not isinstance(value, dict | list):
        return value
    if not levels:
        return "…"
    if isinstance(value, dict):
        return {key: _shallow(inner, levels - 1) for key, inner in value.items()}
    return [_shallow(inner, levels - 1) for inner in value]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if hasattr(value, "model_dump"):
        return value.model_dump(by_alias=True)
    return str(value)  # of a day, too, which is ISO 8601
