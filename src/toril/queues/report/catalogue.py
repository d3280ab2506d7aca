"""What queries and exports may read: these sources and columns, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

from pydantic.alias_generators import to_camel
from sqlalchemy import ColumnElement, FromClause, and_

from toril.db.models import (
    BankAccount,
    BankTransaction,
    Case,
    Client,
    Contract,
    Expense,
    Invoice,
    InvoiceLine,
    Payment,
    TimeEntry,
    User,
)
from toril.queues.report.kinds import Source, column_of

_accounts, _bank = BankAccount.__table__, BankTransaction.__table__
_cases, _clients, _contracts = Case.__table__, Client.__table__, Contract.__table__
_expenses, _invoices, _lines = Expense.__table__, Invoice.__table__, InvoiceLine.__table__
_payments, _time, _users = Payment.__table__, TimeEntry.__table__, User.__table__


def _source(
    name: str,
    table: FromClause,
    own: str,
    *,
    day: str,
    brief: str,
    joins: Iterable[tuple[str, FromClause]] = (),
    **others: ColumnElement[Any],
) -> Source:
    """A source.

    Args:
        own: columns of ``table``.
        joins: for each table joined to it, the column of ``table`` that leads there.
        others: columns of the joined tables, or computed ones.
    """
    rows = table
    for key, joined in joins:
        rows = rows.outerjoin(joined, and_(table.c[key] == joined.c.id, table.c.firm_id == joined.c.firm_id))
    named = {to_camel(column): table.c[column] for column in own.split()} | {
        to_camel(column): expression for column, expression in others.items()
    }
    return Source(
        name=name,
        rows=rows,
        firm=table.c.firm_id,
        key=table.c.id,
        day=day,
        columns={name: column_of(name, expression) for name, expression in named.items()},
        brief=tuple(brief.split()),
    )


_ALL: Final = (
    _source(
        "invoices",
        _invoices,
        "id number status issue_date supply_date due_date currency subtotal discount vat_rate vat_amount total "
        "amount_paid client_id case_id language notes payment_terms sent_at paid_at created_at updated_at",
        day="issueDate",
        brief="number status issueDate dueDate clientName currency subtotal vatAmount total amountPaid balance",
        joins=[("client_id", _clients), ("case_id", _cases)],
        balance=_invoices.c.total - _invoices.c.amount_paid,
        client_name=_clients.c.name,
        case_number=_cases.c.number,
    ),
    _source(
        "invoice-lines",
        _lines,
        "id invoice_id position description quantity unit unit_price discount vat_category vat_rate net vat_amount",
        day="issueDate",
        brief="invoiceNumber issueDate position description quantity unitPrice discount vatRate net vatAmount",
        joins=[("invoice_id", _invoices)],
        invoice_number=_invoices.c.number,
        invoice_status=_invoices.c.status,
        issue_date=_invoices.c.issue_date,
        currency=_invoices.c.currency,
        client_id=_invoices.c.client_id,
    ),
    _source(
        "clients",
        _clients,
        "id kind name email phone vat_number national_id commercial_registration street building_number district "
        "city postal_code country language client_since created_at updated_at",
        day="clientSince",
        brief="name kind email phone vatNumber city clientSince",
    ),
    _source(
        "cases",
        _cases,
        "id number title status type court client_id lawyer_id opened_on closed_on created_at updated_at",
        day="openedOn",
        brief="number title status type court clientName lawyerName openedOn closedOn",
        joins=[("client_id", _clients), ("lawyer_id", _users)],
        client_name=_clients.c.name,
        lawyer_name=_users.c.name,
    ),
    _source(
        "payments",
        _payments,
        "id status method amount refunded_amount currency paid_on paid_at client_id invoice_id provider "
        "provider_payment_id bill_number created_at updated_at",
        day="paidOn",
        brief="paidOn status method amount refundedAmount currency clientName invoiceNumber provider",
        joins=[("client_id", _clients), ("invoice_id", _invoices)],
        client_name=_clients.c.name,
        invoice_number=_invoices.c.number,
    ),
    _source(
        "expenses",
        _expenses,
        "id category description amount vat_amount currency spent_on billable case_id user_id created_at updated_at",
        day="spentOn",
        brief="spentOn category description amount vatAmount currency billable caseNumber userName",
        joins=[("case_id", _cases), ("user_id", _users)],
        case_number=_cases.c.number,
        client_id=_cases.c.client_id,
        user_name=_users.c.name,
    ),
    _source(
        "time-entries",
        _time,
        "id worked_on user_id case_id minutes billable hourly_rate description created_at updated_at",
        day="workedOn",
        brief="workedOn userName caseNumber minutes billable hourlyRate description",
        joins=[("case_id", _cases), ("user_id", _users)],
        case_number=_cases.c.number,
        client_id=_cases.c.client_id,
        user_name=_users.c.name,
    ),
    _source(
        "contracts",
        _contracts,
        "id number title status client_id case_id starts_on ends_on signed_at counterparty_name "
        "counterparty_registration wathq_status wathq_checked_at created_at updated_at",
        day="startsOn",
        brief="number title status clientName startsOn endsOn signedAt counterpartyName wathqStatus",
        joins=[("client_id", _clients)],
        client_name=_clients.c.name,
    ),
    _source(
        "bank-transactions",
        _bank,
        "id account_id direction amount currency balance booked_on booked_at description reference category payee "
        "settled created_at updated_at",
        day="bookedOn",
        brief="bookedOn accountName direction amount currency balance description reference category payee",
        joins=[("account_id", _accounts)],
        account_name=_accounts.c.name,
    ),
    _source(
        "staff",
        _users,
        "id name email phone role active language last_login_at created_at updated_at",
        day="createdAt",
        brief="name email phone role active lastLoginAt createdAt",
    ),
)

SOURCES: Final = {source.name: source for source in _ALL}


def find_source(name: str) -> Source | None:
    """The source of this name; ``time-entries``, ``timeEntries`` and ``time_entries`` are one."""
    return SOURCES.get(re.sub(r"_|(?<=[a-z])(?=[A-Z])", "-", name).lower())


def no_such_source(name: str) -> str:
    """What to say when there is none."""
    return f"there is nothing called {name[:40]!r} ({_hint(name, SOURCES)})"


def no_such_column(source: Source, name: str) -> str:
    """What to say when a source has no such column."""
    return f"{source.name} has no column {name[:40]!r} ({_hint(name, source.columns)})"


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name[:40], known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
