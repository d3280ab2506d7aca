"""What endpoints return: JSON written by orjson, in the envelope of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response


class Json(Response):
    """A JSON body. Endpoints return it as it is, so nothing is validated or copied on the way out."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        try:
            return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS, default=_plain)
        except TypeError:
            # Integers past 64 bits and halves of surrogate pairs, which a job's data may hold.
            return json.dumps(content, default=_plain).encode()


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
    error = {"code": code, "message": message}
    if details is not None:
        error["details"] = details
    return Json({"success": False, "error": error}, status, headers)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(by_alias=True, mode="json")
    return str(value)
