"""Two providers, the second for when the first is certainly not sending."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from toril.errors import (
    NotConfiguredError,
    PostponedError,
    RetryableError,
    TorilError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.email.handovers import Handover, Handovers, Way
from toril.queues.email.message import Mail
from toril.queues.email.providers.base import (
    BatchEmailProvider,
    BatchRefusedError,
    EmailProvider,
    NotSentError,
    ProviderBusyError,
    QuotaUsedUpError,
    SentMail,
)
from toril.queues.email.providers.circuit import Circuit

log = logging.getLogger("toril.queues.email")

#: The first provider certainly did not take the mail, and will not soon: it is away, refuses our account, or that may
#: send no more for now.
_ELSEWHERE = (NotSentError, NotConfiguredError, QuotaUsedUpError)


class FallbackProvider:
    """Sends by ``first``, and by ``fallback`` what that certainly did not take.

    A mail whose answer was lost may have been sent: it goes only to ``first`` again, which recognises its key. That is
    noted before each handover, so that a worker that was killed in between leaves no mail that goes by both ways.

    Args:
        first: takes batches and idempotency keys.
        fallback: takes neither; the mails of a batch go there one by one, under the same Message-IDs.
        handovers: what is known of earlier attempts.
        circuit: of the first; while it is open, mails go to the fallback without asking.
    """

    def __init__(
        self,
        first: BatchEmailProvider,
        fallback: EmailProvider,
        *,
        handovers: Handovers,
        circuit: Circuit | None = None,
    ) -> None:
        self.first, self.fallback, self.handovers = first, fallback, handovers
        self.circuit = circuit or Circuit()
        #: Calls in a second, which are the first's to limit.
        self.per_second: float | None = getattr(first, "per_second", None)

    @property
    def batch_size(self) -> int:
        """That of the first."""
        return self.first.batch_size

    async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
        """Hand ``mail`` over by one of the ways; see ``EmailProvider.send``."""
        known = await self.handovers.find(idempotency_key)
        earlier = known.get("fallback")
        if earlier is not None and earlier.message_id is not None:
            return SentMail(message_id=earlier.message_id)
        if earlier is not None and earlier.is_open:
            await self.handovers.end(idempotency_key, "fallback", message_id=None)
            raise UnknownOutcomeError(
                "an earlier attempt began to hand this mail to the fallback, and ended before it knew what came of it. "
                f"Look for Message-ID {mail.message_id} in its log before a retry"
            )
        fault: TorilError | None = None
        if _is_open(known, "first") or self.circuit.lets_through():
            await self.handovers.begin(idempotency_key, "first")
            try:
                sent = await self.first.send(mail, idempotency_key=idempotency_key)
            except TorilError as error:
                if not await self._certainly_not_sent(error, idempotency_key, known):
                    raise
                fault = error
            else:
                self.circuit.works()
                return sent
        return await self._fall_back(mail, idempotency_key, fault)

    async def send_batch(
        self, mails: Sequence[Mail], *, idempotency_key: str
    ) -> Sequence[SentMail | UnrecoverableError]:
        """Hand a batch to the first; see ``BatchEmailProvider``. When it is away the batch is refused, and its mails
        find their way one by one."""
        known = await self.handovers.find(idempotency_key)
        if not _is_open(known, "first") and not self.circuit.lets_through():
            raise BatchRefusedError("the provider is away; the mails go by the fallback, one by one")
        await self.handovers.begin(idempotency_key, "first")
        try:
            sent = await self.first.send_batch(mails, idempotency_key=idempotency_key)
        except TorilError as error:
            if not await self._certainly_not_sent(error, idempotency_key, known):
                raise
            raise BatchRefusedError(
                f"the provider takes no batch; the mails go by the fallback, one by one: {error}"
            ) from error
        self.circuit.works()
        return sent

    async def close(self) -> None:
        """Close both."""
        await self.first.close()
        await self.fallback.close()

    async def _certainly_not_sent(self, error: TorilError, key: str, known: Mapping[Way, Handover]) -> bool:
        """Note what an error of the first says; whether the mail may go by the fallback."""
        is_away = isinstance(error, _ELSEWHERE)
        if is_away:
            self.circuit.fails(rest=error.retry_after if isinstance(error, QuotaUsedUpError) else None)
        elif isinstance(error, PostponedError | UnrecoverableError):
            self.circuit.works()
        if _is_open(known, "first"):
            return False  # an earlier attempt may have been taken, whatever this one was told
        if is_away or isinstance(error, ProviderBusyError):
            # Not for other refusals: that a key is in use, or was used, says that the mail was taken.
            await self.handovers.end(key, "first", message_id=None)
        return is_away

    async def _fall_back(self, mail: Mail, key: str, fault: TorilError | None) -> SentMail:
        await self.handovers.begin(key, "fallback")
        try:
            sent = await self.fallback.send(mail, idempotency_key=key)
        except TorilError as error:
            await self.handovers.end(key, "fallback", message_id=None)
            if isinstance(error, UnknownOutcomeError | RetryableError):
                raise
            # It is second choice: what it refuses, the first may take when it is back.
            if fault is None or isinstance(fault, RetryableError):
                raise RetryableError(
                    f"the provider is away, and the fallback refuses the mail: {error}",
                    retry_after=getattr(fault, "retry_after", None),
                ) from error
            raise
        await self.handovers.end(key, "fallback", message_id=sent.message_id)
        log.info("email_by_fallback", extra={"reason": str(fault) if fault else "the circuit is open"})
        return sent


def _is_open(known: Mapping[Way, Handover], way: Way) -> bool:
    return way in known and known[way].is_open
