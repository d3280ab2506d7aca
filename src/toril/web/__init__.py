"""The HTTP side: ``create_app(settings)`` is the whole of it as one ASGI application.

``admin_router(service, authorize=…)`` has its queue endpoints, for an application of your own.

To add endpoints, write a module in ``routes/`` with a ``router`` and list it in ``routes/__init__.py``::

    from toril.web.answers import Json, ok
    from toril.web.deps import AuditTrail, ReadQueues, Service, WriteQueues
    from toril.web.schemas import Answer, Model, errors

    router = APIRouter(prefix="/api/things", tags=["things"])

    class Thing(Model):                       # snake_case here, camelCase in JSON; unknown fields are refused
        queue_name: str

    @router.get("/{name}", response_model=Answer[Thing], responses=errors(401, 403, 404, 503))
    async def read_thing(name: str, user: ReadQueues, service: Service) -> Json:
        return ok({"queueName": name})        # {"success": true, "data": {…}}, written by orjson

    @router.post("/{name}/pause", response_model=Answer[None], responses=errors(401, 403, 409, 503))
    async def pause_thing(name: str, user: WriteQueues, service: Service, audit: AuditTrail) -> Json:
        await audit("thing.pause", name)      # before the act, so that none goes unrecorded
        ...

Raise errors, do not build error answers: ``web/errors.py`` gives every ``TorilError`` its status, and has ``NotFound``,
``Forbidden`` and their kin for the rest. Dependencies are ``async def``, as others run in threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toril.web.app import create_app
    from toril.web.queue_admin import admin_router

__all__ = ["admin_router", "create_app"]


def __getattr__(name: str) -> Any:
    # Commands use parts of this room that need no web framework, so it is imported when asked for.
    if name == "create_app":
        from toril.web.app import create_app

        return create_app
    if name == "admin_router":
        from toril.web.queue_admin import admin_router

        return admin_router
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
