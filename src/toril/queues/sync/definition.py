"""The queue ``sync``: its types, its defaults, and the outside services that it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from toril.db.session import Database
from toril.errors import NotConfiguredError
from toril.queues.base import JobType, QueueDefinition, RunningJob
from toril.queues.sync.access.firms import FirmAccess, FirmClients
from toril.queues.sync.currency.processor import RateKeeper
from toril.queues.sync.currency.providers import ErApi, Frankfurter, RateProvider
from toril.queues.sync.lean.client import Lean
from toril.queues.sync.lean.processor import BankReader
from toril.queues.sync.payloads import (
    BankSync,
    CurrencyRates,
    MudadCheck,
    PaymentCheck,
    WathqCheck,
    WhatsAppInboxes,
    WhatsAppSync,
)
from toril.queues.sync.payments.gateway import PaymentGateway
from toril.queues.sync.payments.processor import PaymentChecker
from toril.queues.sync.sadad.processor import BillChecker
from toril.queues.sync.wathq.client import Wathq
from toril.queues.sync.wathq.processor import ContractChecker
from toril.queues.sync.whatsapp.processor import InboxReader
from toril.queues.sync.zatca.payloads import ZatcaInvoice
from toril.queues.sync.zatca.pending import PendingDocuments
from toril.queues.sync.zatca.processor import ZatcaInvoices

#: as Bull stores them: times in milliseconds, ages in seconds
JOB_OPTIONS = {
    "attempts": 3,
    "backoff": {"type": "exponential", "delay": 5000},
    "timeout": 60_000,
    "removeOnComplete": {"age": 3 * 86_400, "count": 200},
    "removeOnFail": {"age": 172_800},
}


def free_rates() -> Sequence[RateProvider]:
    """Those who publish exchange rates to everybody."""
    return (ErApi(), Frankfurter())


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendors:
    """The outside services. What is None is not configured: its jobs fail at once and say what to set.

    All are closed with the queue.

    Attributes:
        rates: who is asked for exchange rates, in this order; the ones without a key unless given.
        gateways: who is asked about payments, by what jobs call them: ``stripe``, ``mada``, ``stcpay``.
        lean: reads bank accounts.
        bills: knows SADAD bills, by which Mudad is paid.
        wathq: knows the commercial register.
        zatca: clears and reports invoices.
        firms: clients with credentials of firms, which come before those of ``gateways``, ``lean`` and ``bills``; these
            serve an installation of one firm only.
    """

    rates: Sequence[RateProvider] = field(default_factory=free_rates)
    gateways: Mapping[str, PaymentGateway] = field(default_factory=dict)
    lean: Lean | None = None
    bills: PaymentGateway | None = None
    wathq: Wathq | None = None
    zatca: ZatcaInvoices | None = None
    firms: FirmClients | None = None

    async def close(self) -> None:
        """Close all connections, even if one cannot be closed; may be called twice."""
        async with AsyncExitStack() as stack:
            for each in (
                *self.rates,
                *self.gateways.values(),
                self.lean,
                self.bills,
                self.wathq,
                self.zatca,
                self.firms,
            ):
                if each is not None:
                    stack.push_async_callback(each.close)


def sync_queue(
    *, database: Database, vendors: Vendors | None = None, concurrency: int = 5
) -> QueueDefinition:
    """The queue ``sync``.

    Args:
        database: the records; the caller closes it, after the queue.
        concurrency: jobs one worker process runs at once, unless configured otherwise.
    """
    given = vendors or Vendors()
    access = FirmAccess(database=database, clients=given.firms)
    types = [
        JobType(
            name="whatsapp-messages",
            payload=WhatsAppSync,
            process=InboxReader(database=database),
            summary="What WhatsApp's webhook brought, read into messages",
        ),
        JobType(
            name="whatsapp-inbox",
            payload=WhatsAppInboxes,
            process=InboxReader(database=database).work_all,
            summary="What waits in the WhatsApp inboxes of all firms",
        ),
        JobType(
            name="bank-transactions",
            payload=BankSync,
            process=BankReader(database, access, given.lean),
            summary="The transactions of a bank account",
        ),
        JobType(
            name="payment-status",
            payload=PaymentCheck,
            process=PaymentChecker(database, access, given.gateways),
            summary="How far a payment is, asked of its gateway",
        ),
        JobType(
            name="mudad-payment",
            payload=MudadCheck,
            process=BillChecker(database, access, given.bills),
            summary="Whether a payment's SADAD bill is paid",
        ),
        JobType(
            name="wathq-contract",
            payload=WathqCheck,
            process=ContractChecker(database, given.wathq),
            summary="A contract's counterparty, in the commercial register",
        ),
        JobType(
            name="currency-rates",
            payload=CurrencyRates,
            process=RateKeeper(database, given.rates),
            summary="Today's exchange rates",
        ),
        _zatca_type(given.zatca),
        PendingDocuments(database, given.zatca).job_type(),
    ]
    return QueueDefinition(
        name="sync",
        types={each.name: each for each in types},
        job_options=JOB_OPTIONS,
        concurrency=concurrency,
        on_close=given.close,
    )


def _zatca_type(zatca: ZatcaInvoices | None) -> JobType:
    if zatca is not None:
        return zatca.job_type()

    async def refuse(payload: ZatcaInvoice, job: RunningJob) -> dict[str, Any]:
        raise NotConfiguredError(
            "ZATCA is not set up in this installation: nothing was signed or sent. Set ZATCA_ENVIRONMENT and ZATCA_KEY"
        )

    return JobType(
        name="zatca-invoice",
        payload=ZatcaInvoice,
        process=refuse,
        summary="Clear or report an invoice at ZATCA",
    )
