"""What all endpoints of one application share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from toril.installation import Installation, open_installation
from toril.queues.email.tracking import Tracker
from toril.settings import Settings
from toril.web.audit_batches import AuditBatches
from toril.web.auth.access import Access
from toril.web.auth.sign_in import SignIn
from toril.web.auth.throttle import Throttle
from toril.web.breaker import Breaker
from toril.web.event_feed import EventFeeds
from toril.web.files import FileLinks
from toril.web.rates import Rates
from toril.web.readiness import Readiness
from toril.web.sockets import Sockets

#: Seconds a request waits for a lost queue server: enough for a dropped connection, not for one that is gone.
PATIENCE: Final = 0.25

#: Seconds the queue server has for an answer; requests that wait for longer get a 503. More than it has to be reached:
#: a search takes its time.
ANSWER_WITHIN: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The application's own: in ``app.state.toril`` while it runs.

    Attributes:
        installation: database, service and queues, opened for this application.
        access: who may come in.
        sign_in: lets people in and out.
        breaker: whether the queue server is worth asking.
        readiness: whether all is there.
        rates: how often strangers may do what costs a write.
        links: leads to stored files.
        tracker: reads the links in campaign mail.
        sockets: live events.
        feeds: what happens in queues, for streams of events.
        audits: writes what administrators do to the audit log.
    """

    settings: Settings
    installation: Installation
    access: Access
    sign_in: SignIn
    breaker: Breaker
    readiness: Readiness
    rates: Rates
    links: FileLinks
    tracker: Tracker
    sockets: Sockets
    feeds: EventFeeds
    audits: AuditBatches


@asynccontextmanager
async def open_web(settings: Settings) -> AsyncIterator[Web]:
    """Open the installation for an application; closed at the end of the block.

    Raises:
        As ``open_installation``.
    """
    async with open_installation(settings, patience=PATIENCE) as installation:
        service = installation.service
        queues = service.queues.values()
        for queue in (*queues, service.dead_letters.queue):
            queue.connection.answer_within = ANSWER_WITHIN
        breaker = Breaker(lambda: any(queue.connection.live is not None for queue in queues))
        secrets = settings.secrets()
        access = Access(installation.database, secrets)
        sockets = Sockets(settings, installation, access)
        sockets.start()
        try:
            yield Web(
                settings=settings,
                installation=installation,
                access=access,
                sign_in=SignIn(access, secrets, Throttle(service.queue("email"))),
                breaker=breaker,
                readiness=Readiness(installation),
                rates=Rates(service.queue("email")),
                links=FileLinks(secrets, installation.files),
                tracker=Tracker(settings.reached_at(), secrets),
                sockets=sockets,
                feeds=EventFeeds(),
                audits=AuditBatches(installation.database),
            )
        finally:
            await sockets.close()
            access.close()
