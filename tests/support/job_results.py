"""What jobs return, by type: for the reference, and to hold real results against.

The queues ``cleanup`` and ``notification`` say it themselves, by the types of their processors. What is here of the
others is compared with what their jobs return, or with what their code says.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import (
    Any,
    NotRequired,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from toril.queues.base import JobType


class LeftOut(TypedDict):
    """An address that gets no mail, and why: ``bounced``, ``complained`` or ``suppressed``."""

    email: str
    reason: str


class Sent(TypedDict):
    """A mail that the provider took; ``to`` as the payload gave it. ``suppressed``: addresses that were left out;
    without success nobody was left."""

    success: bool
    messageId: str | None
    to: str | list[str]
    subject: str
    suppressed: NotRequired[list[LeftOut]]


class TemplateSent(TypedDict):
    """A mail that the provider took; ``to`` and ``templateId`` as the payload gave them. ``suppressed``: addresses that
    were left out; without success nobody was left."""

    success: bool
    messageId: str | None
    templateId: str
    to: str | list[str]
    suppressed: NotRequired[list[LeftOut]]


class BulkRow(TypedDict):
    """What came of one mail of many."""

    email: str
    success: bool
    messageId: NotRequired[str]
    error: NotRequired[str | None]
    suppressed: NotRequired[str]


class BulkSent(TypedDict):
    """``success`` when none failed; who is suppressed was left out, and did not. A result for each recipient, in
    their order."""

    success: bool
    total: int
    successCount: int
    failedCount: int
    suppressedCount: int
    results: list[BulkRow]


class CampaignSent(TypedDict):
    """``alreadySent``: by an earlier job. ``suppressed``: the address wants no campaigns, and nothing was sent."""

    success: bool
    messageId: str | None
    campaignId: str
    recipientEmail: str
    alreadySent: NotRequired[bool]
    suppressed: NotRequired[bool]


class Printed(TypedDict):
    """Where the file is in the file store, and its bytes."""

    success: bool
    fileName: str
    filePath: str
    size: int


class InvoicePrinted(Printed):
    invoiceId: str


class ReportPrinted(Printed):
    reportId: str
    reportType: str


class StatementPrinted(Printed):
    statementId: str


class ContractPrinted(Printed):
    contractId: str


class Reported(TypedDict):
    """The saved report, what it says in short, its file in the file store, and the job that prints it if one does."""

    success: bool
    reportId: str
    type: str
    summary: dict[str, Any]
    fileName: str
    filePath: str
    size: int
    pdfJobId: NotRequired[str]


class CustomReported(Reported):
    """``rows``: the first of them."""

    rows: list[dict[str, Any]]


class Exported(Reported):
    exportType: str
    format: str
    recordCount: int


class MessagesRead(TypedDict):
    """New messages, messages in all, states that were news, and deliveries that could not be read whole."""

    success: bool
    syncedCount: int
    totalMessages: int
    statusCount: int
    failedCount: int


class InboxesRead(MessagesRead):
    """Of all numbers together."""

    numberCount: int


class TransactionsRead(TypedDict):
    """New ones, all that were read, those that could not be kept, and the days."""

    success: bool
    syncedCount: int
    totalTransactions: int
    skippedCount: int
    startDate: str
    endDate: str


class PaymentChecked(TypedDict):
    """``status`` of the payment now, the gateway's own word, and why a person must look, if so."""

    success: bool
    paymentId: str
    provider: str
    status: str
    providerStatus: str
    review: str | None


class BillChecked(TypedDict):
    """Whether the firm has the money, the payment's status, and why a person must look, if so."""

    success: bool
    paymentId: str
    isPaid: bool
    status: str
    review: str | None


class ContractChecked(TypedDict):
    """``status``: ``verified``, ``inactive``, ``not_found`` or ``mismatch``."""

    success: bool
    contractId: str
    status: str
    verified: bool
    crNationalNumber: str | None


class RatesRead(TypedDict):
    """``asOf``: the newest day among them; ``held``: moved too far to be believed, and not stored."""

    success: bool
    baseCurrency: str
    ratesCount: int
    provider: str
    asOf: str
    missing: list[str]
    held: list[str]


class ZatcaWarning(TypedDict):
    """What ZATCA remarks on."""

    code: str
    category: str
    message: str


class InvoiceSent(TypedDict):
    """``status``: ``cleared`` or ``reported``."""

    success: bool
    invoiceId: str
    documentId: str
    uuid: str
    icv: int
    kind: str
    status: str
    invoiceHash: str
    qrCode: str | None
    submittedAt: int | None
    warnings: list[ZatcaWarning]


class PendingProblem(TypedDict):
    """An invoice that was not accepted."""

    firmId: str
    invoiceId: str
    error: str


class PendingSent(TypedDict):
    """``leftCount``: for which there was no time, or whose firm's credentials are refused."""

    success: bool
    settledCount: int
    rejectedCount: int
    failedCount: int
    leftCount: int
    problems: list[PendingProblem]


RESULTS: Mapping[tuple[str, str], type] = {
    ("email", "transactional"): Sent,
    ("email", "bulk"): BulkSent,
    ("email", "template"): TemplateSent,
    ("email", "campaign"): CampaignSent,
    ("pdf", "invoice"): InvoicePrinted,
    ("pdf", "report"): ReportPrinted,
    ("pdf", "statement"): StatementPrinted,
    ("pdf", "contract"): ContractPrinted,
    ("pdf", "custom"): Printed,
    ("report", "financial"): Reported,
    ("report", "analytics"): Reported,
    ("report", "time-utilization"): Reported,
    ("report", "client-aging"): Reported,
    ("report", "custom"): CustomReported,
    ("report", "data-export"): Exported,
    ("sync", "whatsapp-messages"): MessagesRead,
    ("sync", "whatsapp-inbox"): InboxesRead,
    ("sync", "bank-transactions"): TransactionsRead,
    ("sync", "payment-status"): PaymentChecked,
    ("sync", "mudad-payment"): BillChecked,
    ("sync", "wathq-contract"): ContractChecked,
    ("sync", "currency-rates"): RatesRead,
    ("sync", "zatca-invoice"): InvoiceSent,
    ("sync", "zatca-pending"): PendingSent,
}


def result_type(queue: str, job_type: JobType) -> type:
    """The ``TypedDict`` of a type's result."""
    process: Callable[..., Any] = job_type.process
    function = process if inspect.isroutine(process) else type(process).__call__
    returned = get_type_hints(function).get("return")
    if returned is not None and is_typeddict(returned):
        assert (queue, job_type.name) not in RESULTS, f"{queue} {job_type.name} says itself what it returns"
        return returned
    return RESULTS[queue, job_type.name]


def problems(value: Any, expected: Any, path: str = "result") -> Iterator[str]:
    """Where a real result differs from its type."""
    arguments = get_args(expected)
    if is_typeddict(expected):
        hints = get_type_hints(expected, include_extras=True)
        optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
        for name in sorted(hints.keys() - optional - value.keys()):
            yield f"{path}.{name} is missing"
        for name in sorted(value.keys() - hints.keys()):
            yield f"{path}.{name} is not said"
        for name in hints.keys() & value.keys():
            hint = get_args(hints[name])[0] if name in optional else hints[name]
            yield from problems(value[name], hint, f"{path}.{name}")
    elif get_origin(expected) in (Union, UnionType):
        if not any(next(problems(value, each), None) is None for each in arguments):
            yield f"{path} is {value!r}"
    elif get_origin(expected) is list:
        for at, each in enumerate(value):
            yield from problems(each, arguments[0], f"{path}.{at}")
    elif expected is not Any and type(value) is not (get_origin(expected) or expected):
        yield f"{path} is {value!r}"
