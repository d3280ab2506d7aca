"""The work of a job ``payment-status``: ask the gateway how far a payment is, and keep what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from toril.db.models.invoices import Payment
from toril.db.repositories.payments import Payments
from toril.db.session import Database
from toril.errors import UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.sync.access.firms import FirmAccess
from toril.queues.sync.payloads import PaymentCheck
from toril.queues.sync.payments.gateway import PaymentGateway
from toril.queues.sync.payments.recording import bring_up_to_date

#: What somebody sets to ask about the payments of each kind.
_SETTINGS: Final = {
    "stripe": "STRIPE_SECRET_KEY",
    "mada": "MOYASAR_SECRET_KEY, or HYPERPAY_ACCESS_TOKEN and HYPERPAY_MADA_ENTITY_ID",
    "stcpay": "MOYASAR_SECRET_KEY, or STCPAY_CLIENT_CODE, STCPAY_CERTIFICATE and STCPAY_PRIVATE_KEY",
}

#: At which services a firm may have access of its own to payments of each kind; see ``access.services``.
_SERVICES: Final = {"stripe": ("stripe",), "mada": ("hyperpay", "moyasar"), "stcpay": ("stcpay", "moyasar")}


class PaymentChecker:
    """Brings payments up to date with their gateways.

    Args:
        access: chooses by whose credentials a firm's payments are asked about.
        gateways: with the installation's, by what jobs call them: ``stripe``, ``mada``, ``stcpay``. One may serve two.
        clock: the present, aware.
    """

    def __init__(
        self,
        database: Database,
        access: FirmAccess,
        gateways: Mapping[str, PaymentGateway],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database, self._access = database, access
        self._gateways, self._clock = dict(gateways), clock

    async def __call__(self, payload: PaymentCheck, job: RunningJob) -> dict[str, Any]:
        """Ask about one payment, store the answer, and settle its invoice. A final state never goes back.

        Money that does not match the payment, in amount, currency or reference, completes nothing: the payment
        keeps its status, and says why a person must look.

        Returns:
            ``{"success": True, "paymentId", "provider", "status", "providerStatus", "review"}``: ``status`` is what
            the payment has now, ``providerStatus`` the gateway's own word.
        Raises:
            RecordNotFoundError: the firm has no such payment.
            NotConfiguredError: there is no gateway for it, or the gateway refuses our credentials.
            UnrecoverableError: the gateway knows no such payment, or it is another gateway's.
            RetryableError: no answer now.
        """
        async with self._database.reading() as session:
            payment = await Payments(session).get(payload.payment_id, firm_id=payload.firm_id)
        async with self._gateway(payload, payment) as gateway:
            await job.update_progress(20)
            stored, found = await bring_up_to_date(
                self._database, payment, gateway.fetch, clock=self._clock, provider=gateway.name
            )
        if stored.review:
            await job.log(f"somebody must look: {stored.review}")
        await job.update_progress(100)
        return {
            "success": True,
            "paymentId": stored.id,
            "provider": gateway.name,
            "status": str(stored.status),
            "providerStatus": found.raw_status,
            "review": stored.review,
        }

    @asynccontextmanager
    async def _gateway(self, payload: PaymentCheck, payment: Payment) -> AsyncIterator[PaymentGateway]:
        asked = payload.payment_provider
        services = _SERVICES[asked]
        if payment.provider in services:
            services = (payment.provider,)
        async with self._access.use(
            payment.firm_id,
            services=services,
            shared=self._gateways.get(asked),
            settings=_SETTINGS[asked],
        ) as gateway:
            if payment.provider not in (None, gateway.name, asked):
                raise UnrecoverableError(
                    f"payment {payment.id} was made with {payment.provider}, and payments by {asked} are looked up "
                    f"at {gateway.name}"
                )
            yield gateway
