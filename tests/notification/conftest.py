"""Records and channels for the tests of notifications."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.databases import Databases
from tests.support.notification_tls import PUSH_NAME, Names, client_tls, local_guard, server_tls

from toril.db.session import Database
from toril.queues.base import QueueDefinition
from toril.queues.notification import (
    Channels,
    LogProvider,
    Vapid,
    WebhookSigner,
    new_keys,
    new_secret,
    notification_queue,
)
from toril.testing.vendors.push import PushService, push_service

KEYS = new_keys()
SECRET = new_secret()


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Makes databases for this test run."""
    made = Databases(tmp_path_factory.mktemp("notifications"))
    yield made
    made.close()


@pytest.fixture
async def database_url(databases: Databases) -> str:
    """A database with all tables and no rows."""
    return await databases.fresh("sqlite")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """That database, open."""
    async with Database(database_url) as opened:
        yield opened


@pytest.fixture
def names() -> Names:
    """All names lead to this machine, unless told otherwise."""
    return Names()


@pytest.fixture
def keys() -> tuple[str, str]:
    """Our keys of Web Push, public and private."""
    return KEYS


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    """A push service that knows our keys."""
    async with push_service(KEYS[0], tls=server_tls(PUSH_NAME), host=PUSH_NAME) as running:
        yield running


@pytest.fixture
def channels(names: Names, tmp_path: Path) -> Channels:
    """Everything set up, to be called over TLS and by name."""
    public, private = KEYS
    return Channels(
        sms=LogProvider(tmp_path / "sms"),
        vapid=Vapid(public, private, contact="push@firm.example"),
        webhook_signer=WebhookSigner([SECRET]),
        guard=local_guard(names),
        tls=client_tls(),
    )


@pytest.fixture
async def queue(database: Database, channels: Channels) -> AsyncIterator[QueueDefinition]:
    """The queue's definition, to process jobs without a server."""
    definition = notification_queue(database=database, channels=channels)
    yield definition
    await definition.close()
