"""The endpoints, a module for each kind. ``ROUTERS`` are those of the application.

The framework tries routes in this order, so those that are asked most come first.
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from toril.web.routes import (
    api_keys,
    auth,
    credentials,
    files,
    health,
    invoices,
    notifications,
    payments,
    queues_admin,
    reports,
    sms,
    suppressions,
    tracking,
    webhooks,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    queues_admin.router,
    auth.router,
    api_keys.router,
    invoices.router,
    payments.router,
    credentials.router,
    reports.router,
    files.router,
    files.fetching,
    notifications.router,
    suppressions.router,
    sms.router,
    webhooks.router,
    tracking.router,
    health.router,
)
