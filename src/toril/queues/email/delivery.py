"""Hands a bulk job's mails to the provider, notes what came of each, and knows when to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

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
from toril.queues.send_once import SendOnce

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
        self.later: dict[str, RetryableError] = {}
        self.trouble: Exception | None = None
        self._compose, self._told, self._key = compose, told, key
        self._stopped = stopped
        self._pacing = pacing
        self._once = SendOnce[Outcome](record)

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
            await self._once.run(enumerate(batches), lambda batch: self._batch(*batch, known), at_once=1)
        else:
            left = (entry for entry in entries if entry.key not in known)
            await self._once.run(left, self._one, at_once=self.concurrency)

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """See the class."""
        return self._once.notes

    @property
    def gave_up(self) -> bool:
        """See the class."""
        return self._once.is_over

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
                self._once.is_over, self.trouble = True, error
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
            self._once.count_success()
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
            self._once.count_success()
        await self._note({entry.key: outcome})

    def _count_fault(self, error: Exception) -> None:
        self._once.count_fault()
        self.trouble = error
        if self._once.is_away():
            self._once.is_over = True

    async def _note(self, outcomes: Mapping[str, Outcome]) -> None:
        await self._once.note(outcomes)
        await self._told()


def _outcome(what: SentMail | Exception) -> Outcome:
    if isinstance(what, SentMail):
        return Outcome(message_id=what.message_id)
    return Outcome(error=str(what)[:_MAX_ERROR])
