"""Resend's answer to a batch, mail by mail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import orjson

from toril.errors import RetryableError, UnknownOutcomeError, UnrecoverableError
from toril.queues.email.providers.base import SentMail


def batch_outcomes(response: httpx.Response, size: int) -> Sequence[SentMail | UnrecoverableError]:
    """What came of each of ``size`` mails.

    In permissive mode ``errors`` names the refused ones by their index, and ``data`` holds the accepted ones in
    order.

    Raises:
        RetryableError: the answer is none of Resend's. It replays its first answer for the same key, so asking
            again is safe.
    """
    refused, accepted = _read(response)
    if not all(0 <= index < size for index in refused) or len(refused) + len(accepted) != size:
        # Asking again would bring the same answer. Saying "sent" or sending again could both be wrong.
        lost = UnknownOutcomeError(
            f"Resend took a batch of {size}, but accounts for {len(accepted)} accepted and {len(refused)} "
            "refused; its dashboard tells which were sent"
        )
        return [lost] * size
    ids = iter(accepted)
    return [
        UnrecoverableError(f"Resend refused the mail ({refused[index]})")
        if index in refused
        else SentMail(message_id=next(ids))
        for index in range(size)
    ]


def _read(response: httpx.Response) -> tuple[dict[int, str], list[str]]:
    """Refused indexes with the reason, and ids of the accepted."""
    try:
        body: Any = orjson.loads(response.content)
        accepted = [item["id"] for item in body["data"]]
        refused = {
            item["index"]: " ".join(str(item["message"]).split())[:300] for item in body.get("errors") or ()
        }
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        accepted, refused = [None], {}
    if not all(isinstance(one, str) and one for one in accepted) or not all(
        isinstance(i, int) for i in refused
    ):
        raise RetryableError("Resend took the mails, but its answer holds no ids; asking again")
    return refused, accepted
