"""The type ``webhook``: a signed call of an address that somebody gave us."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from toril.errors import NotConfiguredError, RetryableError, TorilError, UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.guarded_client import GuardedAnswer, GuardedClient
from toril.queues.job_key import job_token
from toril.queues.notification.payloads import Webhook
from toril.queues.notification.results import WebhookResult
from toril.queues.notification.signature import WebhookSigner
from toril.queues.retry_after import retry_after_seconds
from toril.queues.ssrf import BlockedAddressError

MAX_RESPONSE: Final = 4096  #: bytes of the answer that the result keeps
_LONGEST_WAIT: Final = 24 * 3600.0  #: seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCaller:
    """Calls webhooks.

    Attributes:
        signer: None when there is no secret; then jobs fail.
        within: seconds for a call.
    """

    client: GuardedClient
    signer: WebhookSigner | None
    within: float = 10.0

    async def __call__(self, payload: Webhook, job: RunningJob) -> WebhookResult:
        """Call one webhook. A receiver can get it more than once, each time with the same ``webhook-id``.

        Returns:
            ``{"success": True, "webhookUrl": …, "statusCode": …, "response": …}``, the response as JSON if it is that,
            else the beginning of its text.

        Raises:
            NotConfiguredError: there is no secret to sign with.
            BlockedAddressError: it may not be called.
            RetryableError: no answer, or 408, 425, 429, 5xx.
            UnrecoverableError: any other answer.
        """
        if self.signer is None:
            raise NotConfiguredError(
                "webhooks are signed: set WEBHOOK_SECRET, and give receivers what `toril webhooks secret URL` prints"
            )
        await job.update_progress(10)
        body = orjson.dumps(payload.payload)
        try:
            origin = self.client.guard.parse(payload.webhook_url).origin
            signed = self.signer.headers(
                message_id(job), timestamp=int(time.time()), body=body, origin=origin
            )
            answer = await self.client.request(
                "POST",
                payload.webhook_url,
                headers={"Content-Type": "application/json", **signed, **(payload.headers or {})},
                content=body,
                within=self.within,
            )
        except BlockedAddressError as error:
            raise BlockedAddressError(f"webhookUrl: {error}") from None
        if not answer.is_success:
            raise _explain(answer, origin)
        await job.update_progress(100)
        return {
            "success": True,
            "webhookUrl": payload.webhook_url,
            "statusCode": answer.status,
            "response": _response(answer),
        }


def message_id(job: RunningJob) -> str:
    """The ``webhook-id``: that of one event, the same for every attempt, and never that of another."""
    return job_token("msg", job)


def _response(answer: GuardedAnswer) -> Any:
    if answer.is_whole and len(answer.content) <= MAX_RESPONSE:
        try:
            found = orjson.loads(answer.content)
            orjson.dumps(found)  # what is nested deep can be read, but not written
            return found
        except (ValueError, TypeError):
            pass
    return answer.content[:MAX_RESPONSE].decode("utf-8", "ignore")


def _explain(answer: GuardedAnswer, receiver: str) -> TorilError:
    status = answer.status
    text = f"the webhook at {receiver} answered with HTTP {status}" + (
        f" ({answer.said})" if answer.said else ""
    )
    if status in (408, 425, 429) or status >= 500:
        wait = retry_after_seconds(
            answer.headers.get("retry-after"), now=datetime.now(UTC), cap=_LONGEST_WAIT
        )
        # Up to a quarter more, so that all that were turned away do not come back at once.
        later = None if wait is None else wait * random.uniform(1.0, 1.25)  # noqa: S311 - not for secrets
        return RetryableError(f"{text}; trying again later", retry_after=later)
    if status == 410:
        return UnrecoverableError(f"{text}: it is gone for good. Call it no more")
    if 300 <= status < 400:
        return UnrecoverableError(
            f"{text}, a redirect, and those are not followed. Use the address it leads to"
        )
    return UnrecoverableError(f"{text}: it refuses the call")
