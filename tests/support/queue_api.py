"""The whole HTTP application on a server of the test, and people who may use it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI

from toril.db.ids import new_id
from toril.db.models import ApiKey, Role, Session, User
from toril.db.types import utc_now
from toril.service import QueueService
from toril.settings import Settings
from toril.web import create_app
from toril.web.auth.secrets import hash_of, new_api_key
from toril.web.context import Web

SECRET = "a secret of tests, long enough for all"

#: Data of a job of the queue ``cleanup`` that can be added and never does harm.
DATA = {"type": "temp-files", "data": {"maxAgeHours": 24, "dryRun": True}}


@dataclass
class Api:
    """A running application.

    Attributes:
        client: sends requests as an administrator.
    """

    app: FastAPI
    client: httpx.AsyncClient = field(init=False)

    @property
    def web(self) -> Web:
        web: Web = self.app.state.toril
        return web

    @property
    def service(self) -> QueueService:
        return self.web.installation.service

    async def token(self, role: Role = Role.ADMIN, *, age_s: float = 0) -> str:
        """An access token of a new user who signed in ``age_s`` seconds ago."""
        async with self.web.installation.database.session() as session:
            user = User(email=f"{new_id()}@firm.example", name="Sara", role=role)
            session.add(user)
            await session.flush()
            signed_in = Session(
                user_id=user.id, token_hash=new_id(), expires_at=utc_now() + timedelta(days=1)
            )
            session.add(signed_in)
            await session.flush()
            now = utc_now().timestamp() - age_s
            return self.web.access.tokens.issue(user.id, signed_in.id, now=now)

    async def key(self, *scopes: str) -> str:
        """An API key of a new administrator."""
        secret, hint = new_api_key()
        async with self.web.installation.database.session() as session:
            user = User(email=f"{new_id()}@firm.example", name="Sara", role=Role.ADMIN)
            session.add(user)
            await session.flush()
            key = {"name": "key", "key_hash": hash_of(secret), "hint": hint, "scopes": list(scopes)}
            session.add(ApiKey(user_id=user.id, **key))
        return secret

    async def call(self, method: str, path: str, **request: Any) -> Any:
        """The whole answer to a request that succeeds."""
        response = await self.client.request(method, path, **request)
        assert response.status_code in (200, 201), f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    async def add(self, count: int = 1, queue: str = "cleanup", **options: Any) -> list[str]:
        """Add jobs by the service; returns their ids."""
        jobs = [{"data": DATA, "options": options} for _ in range(count)]
        return [job["jobId"] for job in await self.service.add_bulk_jobs(queue, jobs)]

    async def fail(self, *ids: str, queue: str = "cleanup", state: str = "failed") -> None:
        """Put waiting jobs among the failed or completed ones, as a worker that ended them would."""
        for job_id in ids:
            await end_job(self.service, queue, job_id, state)


async def end_job(service: QueueService, queue: str, job_id: str, state: str) -> None:
    """Move a waiting job to ``completed`` or ``failed`` by the commands that a worker's script uses."""
    opened = service.queue(queue)
    ask, keys = opened.scripts.ask, opened.keys
    seconds, micros = await ask("TIME")
    now = int(seconds) * 1000 + int(micros) // 1000
    await ask("LREM", keys.of("wait"), 0, job_id)
    await ask("LREM", keys.of("paused"), 0, job_id)
    outcome = ("failedReason", "no luck") if state == "failed" else ("returnvalue", '{"success":true}')
    await ask("HSET", keys.job(job_id), "processedOn", now, "finishedOn", now + 7, *outcome)
    await ask("ZADD", keys.of(state), now, job_id)


@asynccontextmanager
async def open_api(server_url: str, prefix: str, home: Path, **settings: Any) -> AsyncIterator[Api]:
    """The application, without a network between it and its client."""
    chosen = Settings(
        **{"home": home, "redis_url": server_url, "prefix": prefix, "secret": SECRET, **settings}
    )
    api = Api(create_app(chosen))
    async with api.app.router.lifespan_context(api.app), client_of(api.app, await api.token()) as api.client:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_api(start_server: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One application for all tests of a module, with queues of its own; they run in the module's event loop."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    async with open_api(start_server("valkey").url, prefix, tmp_path_factory.mktemp("home")) as opened:
        yield opened


def client_of(app: Any, token: str | None = None) -> httpx.AsyncClient:
    """A client of an application in this process."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://toril.example", headers=headers
    )


@asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[str]:
    """The address of an application on a port of this machine; its lifespan is the caller's, ``options`` uvicorn's."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1, **options)
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await serving


def escaped(text: str) -> str:
    """A part of a path."""
    return quote(text, safe="")
