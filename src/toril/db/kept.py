"""Tables whose rows no cleanup deletes, each with the reason. Rows of all others go when they have had their time."""

from __future__ import annotations

from typing import Final

_BOOKS = "the firm's books, which law has it keep for years"
_PEOPLE = "what people enter, and take out again"
_PAPERS = "the firm's correspondence with its clients"

KEPT: Final = {
    "api_keys": "one for each machine, made and revoked by people; the audit log names them",
    "archive_claims": "one row at most; it goes when its entries of the audit log are deleted",
    "bank_accounts": _PEOPLE,
    "bank_transactions": _BOOKS,
    "cases": _PEOPLE,
    "clients": _PEOPLE,
    "contracts": _PEOPLE,
    "currency_rates": "twenty rows a day, which amounts in the books were worked out with",
    "email_campaigns": _PEOPLE,
    "expenses": _BOOKS,
    "firm_credentials": _PEOPLE,
    "firms": _PEOPLE,
    "invoice_lines": _BOOKS,
    "invoices": _BOOKS,
    "mail_suppressions": "whoever wants no more mail does not want any later either",
    "payments": _BOOKS,
    "push_subscriptions": "one for each browser; it goes when the browser's push service says that it is gone",
    "sms_opt_outs": "whoever wants no more messages does not want any later either",
    "time_entries": _BOOKS,
    "users": _PEOPLE,
    "whatsapp_messages": _PAPERS,
    "whatsapp_numbers": _PEOPLE,
    "zatca_documents": _BOOKS,
    "zatca_units": "one for each firm and environment: the end of its chain of tax documents",
}
