"""The templates there are, and what each needs to be told: one model a template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from toril.queues.base import Payload
from toril.queues.email.fields import Amount, Currency, Day, Line, LongText, Moment, Name, WebUrl
from toril.queues.email.formats import Language
from toril.queues.redaction import template_name as template_name


def _language(value: Any) -> Any:
    # "ar-SA" and "EN" are what browsers and older code say.
    return re.split("[-_]", value.strip().lower())[0] if isinstance(value, str) else value


Minutes = Annotated[int, Field(ge=1, le=525_600)]


class TemplateData(Payload):
    """What every template takes: the language, and who writes."""

    language: Annotated[Language, BeforeValidator(_language)] = "ar"
    firm_name: Name | None = None  #: the sender's name when absent
    firm_address: Line | None = None
    firm_phone: Name | None = None
    firm_email: Name | None = None
    firm_url: WebUrl | None = None


class Welcome(TemplateData):
    """Somebody has an account now."""

    name: Name
    login_url: WebUrl
    email: Name | None = None  #: the name to log in with


class Otp(TemplateData):
    """A code to log in with, or to confirm something."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{4,12}$")]
    name: Name | None = None
    expires_in_minutes: Minutes = 10


class PasswordReset(TemplateData):
    """A link to set a new password."""

    name: Name
    reset_url: WebUrl
    expires_in_minutes: Minutes = 60


class InvoiceLine(Payload):
    """One line of an invoice, as the mail lists it."""

    description: Line
    amount: Amount


class Invoice(TemplateData):
    """A new invoice."""

    client_name: Name
    invoice_number: Name
    date: Day
    due_date: Day
    total_amount: Amount
    currency: Currency = "SAR"
    items: Annotated[tuple[InvoiceLine, ...], Field(max_length=50)] = ()
    subtotal: Amount | None = None
    vat_amount: Amount | None = None
    invoice_url: WebUrl | None = None
    notes: LongText | None = None


class InvoiceReminder(TemplateData):
    """An invoice is due soon, or should have been paid."""

    client_name: Name
    invoice_number: Name
    due_date: Day
    amount_due: Amount
    currency: Currency = "SAR"
    days_overdue: Annotated[int, Field(ge=0, le=36_500)] = 0  #: 0: not overdue yet
    invoice_url: WebUrl | None = None


class PaymentReceived(TemplateData):
    """A payment came in."""

    client_name: Name
    amount: Amount
    payment_date: Day
    currency: Currency = "SAR"
    invoice_number: Name | None = None
    payment_method: Name | None = None
    reference: Name | None = None
    remaining_amount: Amount | None = None
    receipt_url: WebUrl | None = None


class CaseUpdate(TemplateData):
    """News about a case."""

    client_name: Name
    case_number: Name
    case_title: Line
    update: LongText
    status: Name | None = None
    court: Line | None = None
    next_hearing: Moment | None = None
    case_url: WebUrl | None = None


class AppointmentReminder(TemplateData):
    """An appointment that comes near."""

    client_name: Name
    title: Line
    starts_at: Moment
    duration_minutes: Minutes | None = None
    location: Line | None = None
    meeting_url: WebUrl | None = None
    lawyer_name: Name | None = None
    notes: LongText | None = None


class ReportReady(TemplateData):
    """A report can be fetched."""

    name: Name
    report_name: Line
    report_url: WebUrl
    start_date: Day | None = None
    end_date: Day | None = None
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = None


class JobAlert(TemplateData):
    """Something is wrong with background jobs; for those who run them."""

    title: Line
    message: LongText
    queue: Name
    occurred_at: Moment
    job_id: Name | None = None
    failed_reason: LongText | None = None
    failed_count: Annotated[int, Field(ge=0)] | None = None
    waiting_count: Annotated[int, Field(ge=0)] | None = None
    dashboard_url: WebUrl | None = None


#: By ``templateId``; each has a file of this name in ``templates/ar`` and ``templates/en``.
TEMPLATES: Mapping[str, type[TemplateData]] = {
    "welcome": Welcome,
    "otp": Otp,
    "password_reset": PasswordReset,
    "invoice": Invoice,
    "invoice_reminder": InvoiceReminder,
    "payment_received": PaymentReceived,
    "case_update": CaseUpdate,
    "appointment_reminder": AppointmentReminder,
    "report_ready": ReportReady,
    "job_alert": JobAlert,
}
