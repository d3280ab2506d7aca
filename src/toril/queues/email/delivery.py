"""Hands a bulk job's mails to the provider, notes what came of each, and knows when to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from toril.errors import (
    NotConfiguredError,
    OptionError,
    RetryableError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.email.ledger import Outcome
from toril.queues.email.message import Mail
from toril.queues.email.pacing import Pacing
from toril.queues.email.providers.base import (
    BatchEmailProvider,
    BatchRefusedError,
    EmailProvider,
    SentMail,
)
from toril.queues.email.recipients import Entry

_U = TypeVar("_U")

GIVE_UP_AFTER = 5  #: passing faults in a row: then it is the provider, not the address
FINISH_S = 4.0  #: seconds a mail that is under way gets when the job is stopped
_MAX_ERROR = 300  #: characters


class Delivery:
    """One attempt at sending what of a bulk job is not sent yet.

    Args:
        provider: takes mails by the batch if it can, else one by one.
        compose: makes the mail for an entry; raises ``OptionError`` when its values do not do.
        stopped: asked before a mail that leaves alone: what to note instead of sending it, or None.
        record: keeps outcomes for ever; called before anybody is told.
        told: called after outcomes were recorded.
        key: the idempotency key of a mail or a batch, from what sets it apart within the job.
        concurrency: mails under way at once, where there are no batches.
        pacing: makes, for each mail or batch, what spreads the calls.

    Attributes:
        outcomes: of this attempt, recorded, by the entries' keys.
        later: entries with a passing fault, by their key; nothing is recorded of these.
        gave_up: the provider takes nothing now; what is left was not tried.
        trouble: the last fault that was not about one mail alone.
    """

    def __init__(
        self,
        provider: EmailProvider,
        *,
        compose: Callable[[Entry], Mail],
        stopped: Callable[[Entry], Awaitable[Outcome | None]],
        record: Callable[[Mapping[str, Outcome]], Awaitable[None]],
        told: Callable[[], Awaitable[None]],
        key: Callable[[str], str],
        concurrency: int,
        pacing: Callable[[], Pacing],
    ) -> None:
        self.provider, self.concurrency = provider, concurrency
        self.outcomes: dict[str, Outcome] = {}
        self.later: dict[str, RetryableError] = {}
        self.gave_up = False
        self.trouble: Exception | None = None
        self._compose, self._record, self._told, self._key = compose, record, told, key
        self._stopped = stopped
        self._pacing = pacing
        self._failure: Exception | None = None
        self._faults = 0
        self._unrecorded: dict[str, Outcome] = {}
        self._recording = asyncio.Lock()

    async def run(self, entries: Sequence[Entry], known: Mapping[str, Outcome]) -> None:
        """Send to all ``entries`` of which nothing is ``known``.

        Raises:
            Exception: what ended it early, such as ``NotConfiguredError`` or a ledger that cannot be written;
                all that was sent by then is recorded.
        """
        if isinstance(self.provider, BatchEmailProvider):
            size = self.provider.batch_size
            # The same entries make the same batches in every attempt, so that a repeated one is the same request.
            batches = [entries[start : start + size] for start in range(0, len(entries), size)]
            await self._work(enumerate(batches), lambda batch: self._batch(*batch, known), workers=1)
        else:
            left = (entry for entry in entries if entry.key not in known)
            await self._work(left, self._one, workers=self.concurrency)
        if self._failure is not None:
            raise self._failure

    async def _work(
        self, units: Iterator[_U], send: Callable[[_U], Awaitable[None]], *, workers: int
    ) -> None:
        tasks = [asyncio.create_task(self._take(units, send)) for _ in range(workers)]
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            self.gave_up = True
            # What is under way is noted, or it would be sent again.
            await asyncio.wait(tasks, timeout=FINISH_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _take(self, units: Iterator[_U], send: Callable[[_U], Awaitable[None]]) -> None:
        while not self.gave_up and self._failure is None:
            try:
                unit = next(units)
            except StopIteration:
                return
            try:
                await send(unit)
            except Exception as error:
                self._failure = self._failure or error

    async def _batch(self, number: int, batch: Sequence[Entry], known: Mapping[str, Outcome]) -> None:
        left = [entry for entry in batch if entry.key not in known]
        if len(left) == len(batch):
            try:
                await self._send_batch(number, batch)
            except BatchRefusedError:
                pass
            else:
                return
        # Refused as a whole, now or in an earlier attempt: one by one shows which of them is bad.
        for entry in left:
            if self.gave_up:
                return
            await self._one(entry)

    async def _send_batch(self, number: int, batch: Sequence[Entry]) -> None:
        provider = self.provider
        assert isinstance(provider, BatchEmailProvider)
        outcomes, mails = await asyncio.to_thread(self._compose_all, batch)
        if mails:
            try:
                sent = await self._pacing().call(
                    lambda: provider.send_batch(
                        list(mails.values()), idempotency_key=self._key(f"batch-{number}")
                    )
                )
            except RetryableError as error:
                self.later |= dict.fromkeys(mails, error)
                self.gave_up, self.trouble = True, error
                return
            outcomes |= {key: _outcome(one) for key, one in zip(mails, sent, strict=True)}
        await self._note(outcomes)

    def _compose_all(self, batch: Sequence[Entry]) -> tuple[dict[str, Outcome], dict[str, Mail]]:
        bad: dict[str, Outcome] = {}
        mails: dict[str, Mail] = {}
        for entry in batch:
            try:
                mails[entry.key] = self._compose(entry)
            except OptionError as error:
                bad[entry.key] = _outcome(error)
        return bad, mails

    async def _one(self, entry: Entry) -> None:
        if (noted := await self._stopped(entry)) is not None:
            await self._note({entry.key: noted})
            return
        try:
            mail = await asyncio.to_thread(self._compose, entry)
            sent = await self._pacing().call(
                lambda: self.provider.send(mail, idempotency_key=self._key(str(entry.index)))
            )
            outcome = _outcome(sent)
            self._faults = 0
        except NotConfiguredError:
            raise
        except RetryableError as error:
            self.later[entry.key] = error
            self._count_fault(error)
            return
        except UnknownOutcomeError as error:
            outcome = _outcome(error)  # sending again could send it twice
            self._count_fault(error)
        except (OptionError, UnrecoverableError) as error:
            outcome = _outcome(error)
            self._faults = 0
        await self._note({entry.key: outcome})

    def _count_fault(self, error: Exception) -> None:
        self._faults, self.trouble = self._faults + 1, error
        self.gave_up = self.gave_up or self._faults >= GIVE_UP_AFTER

    async def _note(self, outcomes: Mapping[str, Outcome]) -> None:
        """Record; what comes while another call records goes out together with the next."""
        self._unrecorded |= outcomes
        async with self._recording:
            # Only who waits for a write of his own begins one: else each would write what came a moment ago.
            if outcomes.keys() & self._unrecorded.keys():
                ready, self._unrecorded = self._unrecorded, {}
                await self._record(ready)
                self.outcomes |= ready
        await self._told()


def _outcome(what: SentMail | Exception) -> Outcome:
    if isinstance(what, SentMail):
        return Outcome(message_id=what.message_id)
    return Outcome(error=str(what)[:_MAX_ERROR])
