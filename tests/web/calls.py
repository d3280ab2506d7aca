"""Right calls of every endpoint, whichever table it is in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx
from tests.support.queue_api import client_of
from tests.support.web_people import Office
from tests.web.application_endpoints import Endpoint


async def sender(office: Office, endpoint: Any) -> httpx.AsyncClient:
    """A client that may call an endpoint, and whose sign-in is not needed any more."""
    if endpoint.path == "/api/auth/logout":
        return client_of(office.api.app, await office.api.token())
    lawyer = isinstance(endpoint, Endpoint) and not endpoint.who.startswith("admin")
    who = office.lawyer if lawyer else office.root
    return client_of(office.api.app, who.headers["authorization"].removeprefix("Bearer "))


async def good_call(office: Office, endpoint: Any) -> tuple[str, dict[str, Any]]:
    """The address and the body of a right call."""
    if isinstance(endpoint, Endpoint):
        call = await endpoint.prepare(office)
        query = f"?{urlencode(call.query)}" if call.query else ""
        return endpoint.url(**call.values) + query, call.sent.get("json", {})
    return endpoint.url(**await endpoint.prepare(office.api)), endpoint.body or {}
