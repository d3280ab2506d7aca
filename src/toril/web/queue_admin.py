"""The queue endpoints as one router, for any FastAPI application that knows who may use them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import HTTPConnection

from toril.service import QueueService
from toril.web.event_feed import EventFeeds
from toril.web.queue_panel import SCOPE_KEY, Panel
from toril.web.routes.queues_router import build_router

#: Writes down what is done: the request, action, target and details.
RecordOf = Callable[[HTTPConnection, str, str, Mapping[str, Any]], Awaitable[None]]


def admin_router(
    service: QueueService | Callable[[], QueueService],
    *,
    authorize: Callable[..., Any],
    authorize_write: Callable[..., Any] | None = None,
    record: RecordOf | None = None,
    prefix: str = "/api/queues",
    most_streams: int = 100,
    parameters: Collection[str] = (),
) -> APIRouter:
    """The queue endpoints, for ``app.include_router(…)`` of your own application.

    Errors of queues are answered in Toril's form; what ``authorize`` raises is answered by your application. For an
    application that is not FastAPI, include the router in a ``FastAPI()`` and mount that.

    Args:
        service: the queues, or what gives them while the application runs. Make it with a short ``patience`` (such as
            0.25 s): that is how long a request waits for a lost server before it is answered with 503.
        authorize: a FastAPI dependency, asked for every request; it raises to keep somebody out.
        authorize_write: the same for what changes something, in its place.
        record: writes down each change and each export before it is made: your audit log.
        prefix: start of the paths.
        most_streams: streams of events at once, in this process.
        parameters: names in a query that are yours, such as of a token that you read by hand. Others that no endpoint
            and no parameter of ``authorize`` takes are refused.
    """
    feeds = EventFeeds(most=most_streams)

    async def let_in(connection: HTTPConnection) -> None:
        async def write(action: str, target: str, details: Mapping[str, Any]) -> None:
            assert record is not None
            await record(connection, action, target, details)

        connection.scope[SCOPE_KEY] = Panel(
            service=service if isinstance(service, QueueService) else service(),
            feeds=feeds,
            record=None if record is None else write,
        )

    return build_router(
        reading=[Depends(authorize), Depends(let_in)],
        writing=[Depends(authorize_write or authorize), Depends(let_in)],
        prefix=prefix,
        also_known=frozenset(parameters),
    )
