"""What endpoints return: JSON written by orjson, in the envelope of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from toril.queues.problems import cut

#: Characters of an error's message, which may quote what was sent.
_LONGEST_MESSAGE: Final = 12_000

#: Levels of lists and objects in an answer.
_DEEPEST: Final = 200


class Json(Response):
    """A JSON body. Endpoints return it as it is, so nothing is validated or copied on the way out."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        try:
            return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS, default=_plain)
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
    details: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Json:
    """``{"success": false, "error": {"code", "message", "details"?}}``."""
    error = {"code": code, "message": cut(message, _LONGEST_MESSAGE)}
    if details is not None:
        error["details"] = details
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
    if hasattr(value, "model_dump"):
        return value.model_dump(by_alias=True, mode="json")
    return str(value)
