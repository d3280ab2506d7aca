"""All records of an installation. Importing this package makes every table known."""

from toril.db.models.access import ApiKey, AuditEntry, OneTimeToken, Session, TokenPurpose
from toril.db.models.archive_claims import ArchiveClaim
from toril.db.models.banking import AccountStatus, BankAccount, BankTransaction, CurrencyRate, Direction
from toril.db.models.clients import (
    Case,
    CaseStatus,
    CaseType,
    Client,
    ClientKind,
    Expense,
    TimeEntry,
)
from toril.db.models.contracts import Contract, ContractStatus, WathqStatus
from toril.db.models.credentials import FirmCredential
from toril.db.models.deliveries import Delivery
from toril.db.models.firms import Firm, Language, Role, User
from toril.db.models.invoices import (
    OWED,
    RECEIVED,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    Payment,
    PaymentMethod,
    PaymentStatus,
    VatCategory,
)
from toril.db.models.job_owners import JobOwner
from toril.db.models.mail import (
    BulkSend,
    CampaignSend,
    EmailCampaign,
    MailSuppression,
    SendStatus,
    SuppressionReason,
    TrackingEvent,
    TrackingKind,
)
from toril.db.models.mail_events import MailEvent
from toril.db.models.notifications import Notification, PushSubscription
from toril.db.models.reports import GeneratedFile, Report, ReportStatus
from toril.db.models.sms import SmsOptOut, SmsReport
from toril.db.models.whatsapp import (
    MessageDirection,
    MessageStatus,
    WhatsAppMessage,
    WhatsAppNotification,
    WhatsAppNumber,
)
from toril.db.models.zatca import ZatcaDocument, ZatcaEnvironment, ZatcaKind, ZatcaStatus, ZatcaUnit

__all__ = [
    "OWED",
    "RECEIVED",
    "AccountStatus",
    "ApiKey",
    "ArchiveClaim",
    "AuditEntry",
    "BankAccount",
    "BankTransaction",
    "BulkSend",
    "CampaignSend",
    "Case",
    "CaseStatus",
    "CaseType",
    "Client",
    "ClientKind",
    "Contract",
    "ContractStatus",
    "CurrencyRate",
    "Delivery",
    "Direction",
    "EmailCampaign",
    "Expense",
    "Firm",
    "FirmCredential",
    "GeneratedFile",
    "Invoice",
    "InvoiceLine",
    "InvoiceStatus",
    "JobOwner",
    "Language",
    "MailEvent",
    "MailSuppression",
    "MessageDirection",
    "MessageStatus",
    "Notification",
    "OneTimeToken",
    "Payment",
    "PaymentMethod",
    "PaymentStatus",
    "PushSubscription",
    "Report",
    "ReportStatus",
    "Role",
    "SendStatus",
    "Session",
    "SmsOptOut",
    "SmsReport",
    "SuppressionReason",
    "TimeEntry",
    "TokenPurpose",
    "TrackingEvent",
    "TrackingKind",
    "User",
    "VatCategory",
    "WathqStatus",
    "WhatsAppMessage",
    "WhatsAppNotification",
    "WhatsAppNumber",
    "ZatcaDocument",
    "ZatcaEnvironment",
    "ZatcaKind",
    "ZatcaStatus",
    "ZatcaUnit",
]
