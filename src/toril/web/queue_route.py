"""How the queue endpoints are reached: ids with any characters, bodies, errors, and what the API's description says."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from toril.errors import TorilError
from toril.web.api_route import ApiRoute
from toril.web.errors import HttpError, answer_to, answer_to_bad_request
from toril.web.json_body import TooManyValues, read_json
from toril.web.middleware.body_limit import SMALL
from toril.web.schemas import errors


class TooLarge(HttpError):
    """The body has more bytes than this endpoint takes."""

    code, status = "body_too_large", 413


class Compressed(HttpError):
    """The body has a ``Content-Encoding``."""

    code, status = "unsupported_media_type", 415


B = TypeVar("B", bound=BaseModel)

#: Stands for an encoded slash while a path is matched; no id of a job has it.
_SLASH: Final = "\0"


class QueueRoute(ApiRoute):
    """A route whose parameters may hold slashes, written as ``%2F``; and that answers errors the same way in any
    application.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        raw: bytes = scope.get("raw_path") or b""
        if b"%2" not in raw or b"%2f" not in raw.lower():
            return super().matches(scope)
        # The server has decoded the path, in which an encoded slash now looks like any other.
        parts = raw.partition(b"?")[0].decode("latin-1").replace("%2f", "%2F").split("%2F")
        path = _SLASH.join(unquote(part) for part in parts)
        root = scope.get("root_path", "")
        if path.replace(_SLASH, "/") != scope["path"] or root.count("/") > path.count("/"):
            return super().matches(scope)  # somebody in front of us rewrites paths
        match, child = super().matches({**scope, "path": path})
        if "path_params" in child:
            child["path_params"] = {
                name: value.replace(_SLASH, "/") if isinstance(value, str) else value
                for name, value in child["path_params"].items()
            }
        return match, child

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except (TorilError, RequestValidationError) as error:
                if TorilError in request.app.exception_handlers:
                    raise  # Toril's own application sees to it
                if isinstance(error, TorilError):
                    return answer_to(error)
                return answer_to_bad_request(error, request)

        return answer


async def read_body(request: Request, model: type[B], *, optional: bool = False, largest: int = SMALL) -> B:
    """The body as ``model``. Read here rather than by the framework, so that only those who may come in are read.

    Args:
        optional: no body is as good as ``{}``.
        largest: bytes it may have.

    Raises:
        RequestValidationError: it is no JSON, or does not fit; answered with 400, or 415.
        Compressed: it is.
        TooLarge: it is.
    """
    text = await _whole_body(request, largest)
    if not text and optional:
        return model()
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Compressed("send the body as it is, without Content-Encoding")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise _bad("the body must be JSON, with Content-Type: application/json")
    if not text:
        raise _bad("there is no body")
    try:
        given = read_json(text)
    except TooManyValues as error:
        raise _bad(str(error)) from None
    except (ValueError, RecursionError):
        raise _bad("the body is not JSON", kind="json_invalid") from None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found]) from None


def described(
    example: Any, *statuses: int, status: int = 200, media_type: str = "application/json", text: str = ""
) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of an endpoint: an example of its answer, and the errors it may answer with."""
    content = {media_type: {"example": example}}
    return {
        status: {"description": text or "Done.", "content": content},
        **copy.deepcopy(errors(*statuses)),
    }


def takes(model: type[BaseModel], example: Mapping[str, Any], *, optional: bool = False) -> dict[str, Any]:
    """The ``openapi_extra=`` of an endpoint that uses ``read_body``."""
    schema = model.model_json_schema(by_alias=True)
    known = schema.pop("$defs", {})
    body = {"schema": _inlined(schema, known), "example": dict(example)}
    return {"requestBody": {"required": not optional, "content": {"application/json": body}}}


def _bad(message: str, *, kind: str = "json") -> RequestValidationError:
    return RequestValidationError([{"type": kind, "loc": ("body",), "msg": message}])


async def _whole_body(request: Request, largest: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > largest:
            raise TooLarge(f"the body is larger than the {largest} bytes allowed")
    return b"".join(parts)


def _inlined(schema: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, known) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(known[schema["$ref"].rpartition("/")[2]], known)
    return {name: _inlined(value, known) for name, value in schema.items()}
