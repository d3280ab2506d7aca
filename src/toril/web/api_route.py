"""The routes of the API: what a query says and no endpoint knows is refused, and not silently left aside."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any, ClassVar, Final

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from toril.queues.problems import MOST_PROBLEMS, did_you_mean

#: What the query of this request has that its endpoint does not know.
_unknown: ContextVar[RequestValidationError | None] = ContextVar("toril_unknown_parameters", default=None)

_MARK: Final = "_refuses_unknown_parameters"


class ApiRoute(APIRoute):
    """A route that refuses query parameters which its endpoint, and what that depends on, do not take.

    A misspelt ``?statsu=failed`` would else be answered as if nothing had been asked for. They are refused in the place
    of the endpoint, so whoever may not come in learns that first.

    Attributes:
        also_known: parameters that others read by hand.
    """

    also_known: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _refusing(endpoint), **options)

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()
        known = self.also_known.union(_parameters(self.dependant))

        async def answer(request: Request) -> Response:
            if not request.scope["query_string"]:
                return await handle(request)
            strange = [name for name in request.query_params if name not in known]
            if not strange:
                return await handle(request)
            before = _unknown.set(_problems(strange, known))
            try:
                return await handle(request)
            finally:
                _unknown.reset(before)

        return answer


def _refusing(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The endpoint, but for requests whose query it does not know."""
    if hasattr(endpoint, _MARK):
        return endpoint

    @functools.wraps(endpoint)
    async def refusing(**values: Any) -> Any:
        if (problems := _unknown.get()) is not None:
            raise problems
        return await endpoint(**values)

    # Evaluated here, as the names in it are those of the endpoint's module.
    refusing.__signature__ = inspect.signature(endpoint, eval_str=True)  # type: ignore[attr-defined]
    setattr(refusing, _MARK, True)
    return refusing


def _parameters(dependant: Any) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield parameter.alias
    for each in dependant.dependencies:
        yield from _parameters(each)


def _problems(strange: list[str], known: frozenset[str]) -> RequestValidationError:
    return RequestValidationError(
        [
            {
                "type": "unknown_parameter",
                "loc": ("query", name),
                "msg": f"this parameter is not known here{did_you_mean(name, sorted(known))}",
            }
            for name in strange[:MOST_PROBLEMS]
        ]
    )
