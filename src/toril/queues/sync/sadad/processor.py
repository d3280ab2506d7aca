"""The work of a job ``mudad-payment``: ask whether the payment's SADAD bill is paid, and keep the answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from toril.db.models.invoices import RECEIVED
from toril.db.repositories.payments import Payments
from toril.db.session import Database
from toril.errors import UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.sync.access.firms import FirmAccess
from toril.queues.sync.payloads import MudadCheck
from toril.queues.sync.payments.gateway import PaymentGateway
from toril.queues.sync.payments.recording import bring_up_to_date

_SETTINGS: Final = (
    "SADAD_URL and the other settings of SADAD_* to those of the firm's bank or aggregator, as Mudad and SADAD cannot "
    "be asked directly"
)


class BillChecker:
    """Brings payments by bill up to date.

    Args:
        access: chooses by whose credentials a firm's bills are asked about.
        door: with the installation's; knows the bills. None when there is none yet.
        clock: the present, aware.
    """

    def __init__(
        self,
        database: Database,
        access: FirmAccess,
        door: PaymentGateway | None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database, self._access = database, access
        self._door, self._clock = door, clock

    async def __call__(self, payload: MudadCheck, job: RunningJob) -> dict[str, Any]:
        """Ask about one payment's bill, store the answer, and settle its invoice. A final state never goes back.

        Returns:
            ``{"success": True, "paymentId", "isPaid", "status", "review"}``: whether the firm has the money, the
            payment's status, and why a person must look, if so.
        Raises:
            RecordNotFoundError: the firm has no such payment.
            NotConfiguredError: there is nobody to ask, or our credentials are refused.
            UnrecoverableError: it has no bill, the question is refused, or the answer is neither paid nor unpaid;
                then the payment keeps the answer for a person to look at.
            RetryableError: no answer now.
        """
        async with self._database.reading() as session:
            payment = await Payments(session).get(payload.payment_id, firm_id=payload.firm_id)
        async with self._access.use(
            payment.firm_id, services=("sadad",), shared=self._door, settings=_SETTINGS
        ) as door:
            await job.update_progress(20)
            stored, found = await bring_up_to_date(self._database, payment, door.fetch, clock=self._clock)
        if stored.review:
            await job.log(f"somebody must look: {stored.review}")
        if found.status is None:
            raise UnrecoverableError(f"payment {payment.id}: {found.review}. It stays {stored.status}")
        await job.update_progress(100)
        return {
            "success": True,
            "paymentId": stored.id,
            "isPaid": stored.status in RECEIVED,
            "status": str(stored.status),
            "review": stored.review,
        }
