"""Access by OAuth 2.0 client credentials: a token that is asked for once, and kept until it is about to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from toril.errors import NotConfiguredError, RetryableError
from toril.queues.sync.http import VendorClient
from toril.queues.sync.vendor_errors import explain

_RENEW_BEFORE: Final = 300.0  #: seconds to a token's end


class AccessToken:
    """The token of one client of a service.

    Args:
        client: of the service's token endpoint; closed with this.
        settings: what somebody should check when the service refuses the client.
        more: further fields of the request, such as a scope.
        mono: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        client: VendorClient,
        path: str,
        client_id: str,
        client_secret: str,
        *,
        settings: str,
        more: Mapping[str, str] | None = None,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._path = client, path
        self._id, self._secret = client_id, client_secret
        self._settings, self._more, self._mono = settings, dict(more or {}), mono
        self._token, self._good_until = "", 0.0
        self._renewing = asyncio.Lock()

    async def get(self, *, not_this: str | None = None) -> str:
        """The token.

        Args:
            not_this: one that the service has refused.

        Raises:
            NotConfiguredError: the service refuses the client.
            RetryableError: it is away, limits us or answers nonsense.
        """
        async with self._renewing:
            if self._mono() >= self._good_until or self._token == not_this:
                await self._renew()
            return self._token

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        await self._client.close()

    async def _renew(self) -> None:
        answer = await self._client.request(
            "POST",
            self._path,
            operation="asking for access",
            repeatable=True,
            secrets=(self._secret,),
            form={
                "client_id": self._id,
                "client_secret": self._secret,
                "grant_type": "client_credentials",
                **self._more,
            },
        )
        if answer.status == 400:  # OAuth says so of a client that it does not know, too
            raise NotConfiguredError(f"{answer}: it refuses our access. Check {self._settings}")
        if not answer.is_success:
            raise explain(answer, settings=self._settings)
        body = answer.object()
        token, seconds = body.get("access_token"), body.get("expires_in")
        if not isinstance(token, str) or not token:
            raise RetryableError(f"{answer.vendor} gave access without a token; trying again later")
        lasts = float(seconds) if isinstance(seconds, int) and seconds > 0 else 0.0
        self._token, self._good_until = token, self._mono() + max(0.0, lasts - _RENEW_BEFORE)
