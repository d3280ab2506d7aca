"""The idle wait: one blocking call that brings a job the moment there is one."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Callable

from toril.engine.connection import Connection
from toril.engine.keys import QueueKeys
from toril.engine.link import ConnectionLostError, ReplyError
from toril.engine.server import Server
from toril.engine.waiting import comes_within
from toril.errors import QueueUnavailableError, ServerRefusedError, ServerVersionError

log = logging.getLogger("toril.worker")

#: Seconds one blocking call lasts; then it is made again.
DRAIN_DELAY = 5.0

_ERROR_PAUSE = 1.0  # seconds after a refusal


def client_name(keys: QueueKeys) -> str:
    """How a worker's blocking connection is named, which is how Bull lists workers."""
    return f"{keys.prefix}:{base64.b64encode(keys.name.encode()).decode()}"


class IdleWait:
    """Moves one id from wait to active as soon as there is one.

    The id is not locked yet: it goes to the next ``advance`` as a claim. Runs on a connection of its own, since
    nothing else can be asked on it meanwhile.

    Args:
        given_up: called when a call was given up that the server may have carried out all the same; with the server's
            time (ms) from which on, if that may have started jobs.
    """

    def __init__(
        self, server: Server, keys: QueueKeys, shared: Connection, *, given_up: Callable[[int | None], None]
    ) -> None:
        self._keys, self._shared, self._given_up = keys, shared, given_up
        self._connection = Connection(server, name=client_name(keys))
        self._connection.notice_within = 3.0  # beyond the time the call may last
        self._claims: list[str] = []
        self._claimed_since = 0.0  # when the call was made that brought the oldest of them
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def waiting(self) -> bool:
        """Whether a call is under way, which may bring a job at any moment."""
        return self._task is not None

    def claimed(self) -> tuple[list[str], float]:
        """Ids that arrived since this was last asked, and when the call was made that brought them (monotonic)."""
        claims, self._claims = self._claims, []
        return claims, self._claimed_since

    def abandon(self, since: int | None = None) -> None:
        """Jobs moved to active could not be taken up, and are to be put back: claims, which have no lock.

        Args:
            since: others too, which the server may have started after this (its time, ms).
        """
        self._given_up(since)

    def renew(self) -> None:
        """Wait on a new connection."""
        self._connection.renew()

    def begin(self, arrived: Callable[[], None], refused: Callable[[], None]) -> None:
        """Wait in the background.

        Args:
            arrived: called when the wait is over, with or without a job.
            refused: called instead when the server does not let us wait, as one without memory does: then the caller
                has to look for jobs in another way.
        """
        if self._task is None and not self._stopping.is_set():
            self._task = asyncio.create_task(self._wait(arrived, refused), name="toril-idle")

    async def connect(self) -> None:
        """Be on the list of workers before the first wait.

        Raises:
            QueueUnavailableError: the server cannot be reached.
        """
        await self._connection.ready(time.monotonic() + 10)

    async def stop(self) -> None:
        """End a wait that is under way, for good, without losing what it may bring."""
        self._stopping.set()
        await self.interrupt()
        task = self._task
        if task is not None and self._connection.live is not None:
            # The server did not let us end the call, or could not be asked; it ends by itself.
            await asyncio.wait([task], timeout=DRAIN_DELAY + 1)
        await self._connection.close()
        if task is not None:
            await asyncio.wait([task])

    async def interrupt(self) -> None:
        """End the present wait; another may begin later (after a local pause).

        Dropping the connection could lose an id that is on its way here, so the server is asked to answer. It is
        asked again until it does: the call to be ended may not have reached it yet.
        """
        while (task := self._task) is not None:
            link = self._shared.live
            if link is None or self._connection.live is None:
                return
            try:
                async with asyncio.timeout(1):
                    await link.send("CLIENT", "UNBLOCK", self._connection.client_id)
            except (ReplyError, QueueUnavailableError, TimeoutError):
                return
            await asyncio.wait([task], timeout=0.05)

    async def _wait(self, arrived: Callable[[], None], refused: Callable[[], None]) -> None:
        began, over = time.monotonic(), arrived
        try:
            job_id = await self._connection.execute(
                "BLMOVE",
                self._keys.of("wait"),
                self._keys.of("active"),
                "RIGHT",
                "LEFT",
                DRAIN_DELAY,
                patience=DRAIN_DELAY,
                blocks=DRAIN_DELAY,
            )
            if job_id is not None:
                if not self._claims:
                    self._claimed_since = began
                self._claims.append(job_id.decode())
        except ConnectionLostError as error:
            log.debug("idle_wait_interrupted", extra={"queue": self._keys.name, "reason": str(error)})
            self._given_up(None)
        except (ReplyError, ServerRefusedError, ServerVersionError) as error:
            log.warning("idle_wait_refused: %s", error, extra={"queue": self._keys.name})
            over = refused
            await self._pause()
        except QueueUnavailableError as error:
            log.debug("idle_wait_interrupted", extra={"queue": self._keys.name, "reason": str(error)})
        except Exception:
            log.exception("idle_wait_failed", extra={"queue": self._keys.name})
            await self._pause()
        finally:
            self._task = None
            over()

    async def _pause(self) -> None:
        await comes_within(self._stopping.wait(), _ERROR_PAUSE)
