"""The endpoints, a module for each kind. ``ROUTERS`` are those of the application, in the order of its description."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from toril.web.routes import (
    api_keys,
    auth,
    files,
    health,
    invoices,
    notifications,
    queues_admin,
    reports,
    tracking,
    webhooks,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    auth.router,
    api_keys.router,
    queues_admin.router,
    invoices.router,
    reports.router,
    files.router,
    notifications.router,
    webhooks.router,
    tracking.router,
    health.router,
)
