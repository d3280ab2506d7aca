"""Is the application up, and is all there that it needs?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from toril.web.answers import Json
from toril.web.deps import Shared
from toril.web.schemas import Model

router = APIRouter(prefix="/health", tags=["health"])


class Health(Model):
    """How it is."""

    status: str


class Ready(Model):
    """How all is, and every part."""

    status: str
    checks: dict[str, dict[str, Any]]


@router.get("/live", response_model=Health)
async def live() -> Json:
    """Whether the process answers at all; a supervisor restarts it when not."""
    return Json({"status": "ok"})


@router.get(
    "/ready",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "A part is missing; `checks` says which."}},
)
async def ready(web: Shared) -> Json:
    """Whether requests can be served and jobs are worked: the queue server, the database and workers are there."""
    checks = await web.readiness.look()
    well = all(check["status"] == "ok" for check in checks.values())
    body = {"status": "ok" if well else "unavailable", "checks": checks}
    return Json(body, 200 if well else 503, {"Cache-Control": "no-store"})
