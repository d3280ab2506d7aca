"""Clients of outside services with a firm's own credentials, and which of them a job may use."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from toril.db.models.credentials import FirmCredential
from toril.db.repositories.credentials import FirmCredentials
from toril.db.session import Database
from toril.errors import NotConfiguredError
from toril.queues.sync.access.store import CredentialStore

_KEPT: Final = 64  #: clients of firms that are not in use


class Client(Protocol):
    """Asks a service."""

    async def close(self) -> None: ...


Build = Callable[[Mapping[str, str]], Client]


@dataclass(slots=True)
class _Kept:
    client: Client
    sealed: str
    users: int = 0
    replaced: bool = False


@dataclass(slots=True, kw_only=True)
class FirmClients:
    """Clients with credentials of firms, kept open between jobs.

    Attributes:
        store: opens the credentials.
        builders: makes a client from them, by service. A service that is not here cannot be used with a firm's own.
    """

    store: CredentialStore
    builders: Mapping[str, Build]
    _kept: OrderedDict[tuple[str, str], _Kept] = field(default_factory=OrderedDict)
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def use(self, stored: FirmCredential) -> AsyncIterator[Any]:
        """A client with these credentials, for the time of the block.

        Raises:
            NotConfiguredError: they do not open, or the installation does not say where the service is.
        """
        entry = await self._entry(stored)
        entry.users += 1
        try:
            yield entry.client
        finally:
            entry.users -= 1
            if entry.replaced and not entry.users:
                await entry.client.close()

    async def close(self) -> None:
        """Close all clients; may be called twice."""
        async with AsyncExitStack() as stack:
            while self._kept:
                stack.push_async_callback(self._kept.popitem()[1].client.close)

    async def _entry(self, stored: FirmCredential) -> _Kept:
        key = stored.firm_id, stored.service
        async with self._making:
            known = self._kept.get(key)
            if known is not None and known.sealed == stored.sealed:
                self._kept.move_to_end(key)
                return known
            build = self.builders.get(stored.service)
            if build is None:
                raise NotConfiguredError(
                    f"firm {stored.firm_id} has credentials at {stored.service}, and this installation does not say "
                    "where and how that service is asked; see its settings"
                )
            client = await asyncio.to_thread(build, self.store.open(stored))
            if known is not None:  # they were replaced since, perhaps by another process
                await self._give_up(key)
            entry = self._kept[key] = _Kept(client, stored.sealed)
            for old in [each for each, kept in self._kept.items() if not kept.users and each != key][:-_KEPT]:
                await self._give_up(old)
            return entry

    async def _give_up(self, key: tuple[str, str]) -> None:
        entry = self._kept.pop(key)
        entry.replaced = True
        if not entry.users:
            await entry.client.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmAccess:
    """Chooses the client for a job of a firm: one with the firm's own credentials, else the installation's, if the
    firm is the only one. Two firms never share credentials, since a service shows everything to whoever has them.

    Attributes:
        clients: None when firms cannot have their own.
    """

    database: Database
    clients: FirmClients | None

    @asynccontextmanager
    async def use(
        self, firm_id: str, *, services: Sequence[str], shared: Client | None, settings: str
    ) -> AsyncIterator[Any]:
        """A client for the firm, for the time of the block.

        Args:
            services: where its own credentials may be, those to be preferred first.
            shared: with the installation's credentials; None when there are none.
            settings: what to set for those.

        Raises:
            NotConfiguredError: there is none that the firm may use.
        """
        async with self.database.reading() as session:
            stored = await self._find(FirmCredentials(session), firm_id, services)
            alone = stored is not None or await FirmCredentials(session).has_one_firm()
        if stored is not None and self.clients is not None:
            async with self.clients.use(stored) as client:
                yield client
            return
        its_own = f"credentials of firm {firm_id} at {' or '.join(services)}: toril credentials set"
        if shared is None:
            raise NotConfiguredError(f"nobody can be asked: set {settings}, or store {its_own}")
        if not alone:
            raise NotConfiguredError(
                "the installation's credentials are used only while there is one firm, since they show the records "
                f"of all. Store {its_own}"
            )
        yield shared

    async def _find(
        self, credentials: FirmCredentials, firm_id: str, services: Sequence[str]
    ) -> FirmCredential | None:
        if self.clients is None:
            return None
        for service in services:
            if (found := await credentials.find(service, firm_id=firm_id)) is not None:
                return found
        return None
