"""The whole HTTP side as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from toril import __version__
from toril.settings import Settings
from toril.web import errors
from toril.web.context import open_web
from toril.web.middleware.body_limit import LARGEST, SMALL, BodyLimit
from toril.web.middleware.deadline import Deadline
from toril.web.middleware.request_log import RequestLog
from toril.web.middleware.security_headers import SecurityHeaders
from toril.web.middleware.trailing_slash import TrailingSlash
from toril.web.openapi import describe
from toril.web.routes import ROUTERS
from toril.web.sockets import PATH
from toril.web.sockets.transport import SocketPath

#: Bytes of a body, by how the path begins: only jobs carry files and pages, and Meta sends up to 3 MB at once.
_BODIES = {"/api/auth": 16 * 1024, "/api/webhooks": 4 * 1024 * 1024, "/api/queues": LARGEST, "": SMALL}

#: Headers that pages of other origins may send: also for a part of a file, and to go on with events.
_ASKED = [
    "Authorization", "Content-Type", "X-Request-ID", "Range", "If-Range", "If-None-Match", "Last-Event-ID"
]  # fmt: skip


def create_app(settings: Settings) -> FastAPI:
    """The application; opens the installation (database, queues) when it starts, and closes it when it ends.

    Interactive documentation pages are left out, as they would be loaded from elsewhere; the description they show is
    at ``/api/openapi.json``.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_web(settings) as web:
            app.state.toril = web
            yield

    app = FastAPI(
        title="Toril",
        summary="Background jobs on Bull 4's Redis format.",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=_middleware(settings),
    )
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    describe(app)
    return app


def _middleware(settings: Settings) -> list[Middleware]:
    layers = [
        Middleware(SocketPath, path=PATH),
        Middleware(SecurityHeaders, tls=settings.reached_at().startswith("https:")),
    ]
    if settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=[origin.rstrip("/") for origin in settings.cors_origins],
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=_ASKED,
                expose_headers=[
                    "X-Request-ID",
                    "Retry-After",
                    "Content-Disposition",
                    "Content-Range",
                    "ETag",
                ],
                max_age=600,
            )
        )
    return [
        *layers,
        Middleware(RequestLog),  # behind what lets other origins in, who may read its 500 too
        Middleware(Deadline),
        Middleware(BodyLimit, limits=_BODIES),
        Middleware(TrailingSlash),
    ]
