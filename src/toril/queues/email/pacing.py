"""Calls of a mail provider: not more often than it allows, and again when it says "later"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from toril.errors import PostponedError
from toril.queues.base import RunningJob
from toril.queues.email.providers.base import ProviderBusyError

_R = TypeVar("_R")

#: Turns lie so much farther apart than the provider's rate asks for, because calls do not arrive as evenly as they are
#: made, and some providers count the last second of any moment.
_MARGIN: Final = 1.1
_WAIT_HERE_S: Final = 60.0  #: seconds that one call waits here in all; a longer wait is left to the queue


class Pacing:
    """The calls that one job makes.

    Args:
        per_second: calls the provider takes from all workers together; None is any number.
        in_order: calls are made in the order of the queue, one after the other.
        give_up_after: seconds a job may be put off in all.
    """

    def __init__(
        self, job: RunningJob, *, per_second: float | None, give_up_after: float, in_order: bool = False
    ) -> None:
        make: Any = getattr(job, "turn", None)  # a job that no queue knows has no line to stand in
        self._turn = (
            None
            if make is None or not per_second
            else make("mail", per_second=per_second / _MARGIN, in_order=in_order)
        )
        self.give_up_after = give_up_after

    @asynccontextmanager
    async def in_line(self) -> AsyncIterator[None]:
        """Stand in line from the beginning of a job, so that mails leave in the order of the queue. Whoever makes no
        call in the block, as the address wants no mail or the job fails, holds up nobody afterwards.

        Raises:
            PostponedError: the provider takes nothing for a while.
        """
        if self._turn is None:
            yield
            return
        await self._bounded(self._turn.reserve())
        try:
            yield
        finally:
            await asyncio.shield(self._turn.leave())

    async def call(self, call: Callable[[], Awaitable[_R]]) -> _R:
        """Await ``call()`` when it is our turn. A short "later" is waited for here, so that order is kept.

        Raises:
            PostponedError: the provider says "later", and means longer than that.
        """
        waited = 0.0
        while True:
            if self._turn is not None:
                await self._bounded(self._turn.come())
            try:
                result = await self._bounded(call())
            except ProviderBusyError as error:
                wait = error.retry_after or 1.0
                waited += wait
                if self._turn is not None:
                    await self._turn.hold(wait)
                if waited > _WAIT_HERE_S:
                    raise
                if self._turn is None:
                    await asyncio.sleep(wait)
            except BaseException:
                await self._end()
                raise
            else:
                await self._end()
                return result

    async def _end(self) -> None:
        if self._turn is not None:
            await asyncio.shield(self._turn.end())

    async def _bounded(self, work: Awaitable[_R]) -> _R:
        try:
            return await work
        except PostponedError as error:
            error.at_most = self.give_up_after
            raise
