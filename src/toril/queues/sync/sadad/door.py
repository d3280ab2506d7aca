"""Whoever can say whether a SADAD bill is paid.

SADAD has no interface for the public, and Mudad none either. Banks and aggregators have one, each its own: so what
it looks like is configured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from toril.db.models.invoices import Payment, PaymentStatus
from toril.errors import ConfigurationError, RetryableError, UnrecoverableError
from toril.queues.sync.access_token import AccessToken
from toril.queues.sync.http import VendorClient
from toril.queues.sync.kept import kept
from toril.queues.sync.moments import moment_of
from toril.queues.sync.payments.gateway import GatewayPayment, from_major
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain

_VENDOR: Final = "the SADAD service"
_SETTINGS: Final = "SADAD_CLIENT_ID, SADAD_CLIENT_SECRET and the URLs of SADAD_*"
_FIELDS: Final = ("status", "amount", "currency", "paid_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class BillShape:
    """Where a bill is found, and what the answer looks like.

    Attributes:
        path: of a bill; ``{bill}`` stands for its number.
        fields: JSON pointers (RFC 6901) to ``status`` and ``amount`` (in whole riyals), and to ``currency`` and
            ``paid_at`` if the answer has them.
        paid, unpaid: what the status says then, in capitals or not.

    Raises:
        ConfigurationError: something is missing or makes no sense.
    """

    path: str
    fields: Mapping[str, str]
    paid: frozenset[str]
    unpaid: frozenset[str]

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or "{bill}" not in self.path:
            raise ConfigurationError("SADAD_BILL_PATH must begin with / and have {bill} in it")
        unknown = [name for name in self.fields if name not in _FIELDS]
        missing = [name for name in ("status", "amount") if name not in self.fields]
        if unknown or missing or not all(pointer.startswith("/") for pointer in self.fields.values()):
            raise ConfigurationError(
                "SADAD_FIELDS must be such as status=/bill/status amount=/bill/amount, with currency= and paid_at= if "
                "the answer has them"
            )
        if not self.paid or not self.unpaid or self.paid & self.unpaid:
            raise ConfigurationError(
                "SADAD_PAID and SADAD_UNPAID must each name a status, and none in common"
            )

    @classmethod
    def parse(cls, *, path: str, fields: str, paid: str, unpaid: str) -> BillShape:
        """A shape from the texts of settings: fields with spaces, values with commas between them."""
        return cls(
            path=path,
            fields={name: pointer for name, _, pointer in (part.partition("=") for part in fields.split())},
            paid=_values(paid),
            unpaid=_values(unpaid),
        )


class BillDoor:
    """A bank or an aggregator that knows the firm's SADAD bills, with OAuth client credentials.

    Args:
        token_url: where it gives access.
        total_timeout: seconds for one request in all.
        mono: seconds of a clock that never goes back.

    Raises:
        ConfigurationError: a URL is not acceptable.
    """

    name = "sadad"

    def __init__(
        self,
        shape: BillShape,
        *,
        base_url: str,
        token_url: str,
        client_id: str,
        client_secret: str,
        total_timeout: float = 20.0,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shape = shape
        self._client = VendorClient(
            _VENDOR, base_url, read_timeout=total_timeout, total_timeout=total_timeout
        )
        parts = urlsplit(token_url)
        self._access = AccessToken(
            VendorClient(
                _VENDOR,
                f"{parts.scheme}://{parts.netloc}",
                read_timeout=total_timeout,
                total_timeout=total_timeout,
            ),
            parts.path or "/",
            client_id,
            client_secret,
            settings=_SETTINGS,
            mono=mono,
        )

    async def fetch(self, payment: Payment) -> GatewayPayment:
        """What it says about a payment's bill; asking again does no harm.

        Raises:
            UnrecoverableError: the payment has no bill, or the service refuses the question.
            NotConfiguredError: it refuses our credentials.
            RetryableError: it is away, limits us or answers nonsense.
        """
        if not payment.bill_number:
            raise UnrecoverableError(
                f"payment {payment.id} has no bill number: there is nothing to ask about"
            )
        path = self._shape.path.replace("{bill}", quote(payment.bill_number, safe=""))
        token = await self._access.get()
        answer = await self._ask(path, token)
        if answer.status == 401:  # ended before its time
            answer = await self._ask(path, await self._access.get(not_this=token))
        if not answer.is_success:
            raise explain(answer, settings=_SETTINGS)
        return self._read(answer)

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        await self._client.close()
        await self._access.close()

    async def _ask(self, path: str, token: str) -> VendorAnswer:
        return await self._client.request(
            "GET",
            path,
            operation="the question about a bill",
            repeatable=True,
            secret_headers={"Authorization": f"Bearer {token}"},
        )

    def _read(self, answer: VendorAnswer) -> GatewayPayment:
        body = answer.object()
        found = {name: _at(body, pointer) for name, pointer in self._shape.fields.items()}
        raw = str(found["status"] if found["status"] is not None else "").strip()
        if not raw:
            raise RetryableError(f"{answer}, but without a status at {self._shape.fields['status']}")
        status, review = None, None
        if raw.casefold() in self._shape.paid:
            status = PaymentStatus.COMPLETED
        elif raw.casefold() in self._shape.unpaid:
            status = PaymentStatus.PENDING
        else:
            review = (
                f"the SADAD service says {answer.show(raw, limit=60)!r}, which is neither among SADAD_PAID nor "
                "SADAD_UNPAID"
            )
        currency = found.get("currency", "SAR")  # SADAD has no other
        if not isinstance(currency, str):
            raise RetryableError(f"{answer}, but without a currency at {self._shape.fields['currency']}")
        return GatewayPayment(
            status=status,
            raw_status=answer.show(raw, limit=60),
            amount=from_major(answer, found["amount"]),
            currency=currency.strip().upper(),
            paid_at=moment_of(found.get("paid_at")) if status is PaymentStatus.COMPLETED else None,
            review=review,
            answer=kept(body, secrets=answer.secrets),
        )


def _values(text: str) -> frozenset[str]:
    return frozenset(value.strip().casefold() for value in text.split(",") if value.strip())


def _at(body: Any, pointer: str) -> Any:
    """The value at a JSON pointer; None when there is none."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(body, dict):
            body = body.get(key)
        elif isinstance(body, list) and key.isascii() and key.isdigit() and int(key) < len(body):
            body = body[int(key)]
        else:
            return None
    return body
