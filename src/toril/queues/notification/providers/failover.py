"""Several SMS providers: the next one takes what the one before certainly did not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from toril.errors import NotConfiguredError, RetryableError, TorilError
from toril.queues.notification.providers.base import (
    NoRouteError,
    SentSms,
    SmsMessage,
    SmsProvider,
)

log = logging.getLogger("toril.queues.notification")


class FailoverProvider:
    """Tries providers in turn.

    A message goes on to the next one after a definite refusal: nobody there, too many requests, no credit or no access,
    no route to the number. After a lost answer it goes nowhere else, as it may have been sent; and what is wrong with
    the message itself (the number, the text, a person who opted out) is wrong everywhere.
    """

    def __init__(self, *providers: SmsProvider) -> None:
        self.providers: Sequence[SmsProvider] = providers

    @property
    def name(self) -> str:
        """That of the first; results name the one that took the message."""
        return self.providers[0].name

    async def send(self, message: SmsMessage) -> SentSms:
        """Hand ``message`` to the first that takes it; see ``SmsProvider.send``.

        Raises:
            As the providers; when none took it, what lets the job be tried again, if any of them said so.
        """
        refusals: list[TorilError] = []
        for provider in self.providers:
            try:
                sent = await provider.send(message)
            except (RetryableError, NotConfiguredError, NoRouteError) as error:
                log.warning("sms_refused", extra={"provider": provider.name, "reason": str(error)})
                refusals.append(error)
            else:
                return sent if sent.provider else replace(sent, provider=provider.name)
        raise next((error for error in refusals if isinstance(error, RetryableError)), refusals[0])

    async def close(self) -> None:
        """Close all of them."""
        for provider in self.providers:
            await provider.close()
