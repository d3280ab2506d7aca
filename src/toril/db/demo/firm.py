"""Stores the demonstration's firm with a year of records: the same for the same seed and day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.base import Base
from toril.db.demo.invoices import make_invoices
from toril.db.demo.maker import Maker
from toril.db.demo.people import make_case, make_client, make_contract, make_firm, make_users
from toril.db.demo.work import make_expenses, make_time_entries
from toril.db.models import (
    AuditEntry,
    BankAccount,
    EmailCampaign,
    Firm,
    Notification,
    OneTimeToken,
    Role,
    Session,
    TokenPurpose,
    User,
    WhatsAppNumber,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSize:
    """How much there is to be of what."""

    clients: int = 40
    cases: int = 60
    invoices: int = 200
    days: int = 365  #: how far back it goes


async def add_demo_firm(
    session: AsyncSession, *, seed: int = 1, today: date, size: DemoSize | None = None
) -> Firm:
    """Store a firm with its people, clients, cases, invoices, payments, expenses, time and more.

    Its ids follow from the seed, so it is stored once; a second call finds it as it is.

    Args:
        today: the last day of its records; the oldest are ``size.days`` before.
    """
    size = size or DemoSize()
    make = Maker(seed, today, size.days)
    firm = make_firm(make)
    if (there := await session.get(Firm, firm.id)) is not None:
        return there
    users = make_users(make, firm)
    clients = [make_client(make, firm, n) for n in range(size.clients)]
    lawyers = [user for user in users if user.role == Role.LAWYER]
    cases = [make_case(make, firm, n, make.chance.choice(clients), lawyers) for n in range(size.cases)]
    invoices, payments = make_invoices(make, firm, cases, size.invoices)
    # In the order of foreign keys; the session would otherwise sort some thousand records by itself.
    for records in (
        [firm],
        users,
        clients,
        cases,
        invoices,
        payments,
        make_expenses(make, firm, cases, users),
        make_time_entries(make, firm, cases, lawyers),
        [make_contract(make, firm, n, client) for n, client in enumerate(clients[:5], 1)],
        _reached_by(make, firm),
    ):
        session.add_all(records)
        await session.flush()
    leave_behind(session, make, firm, users[0])
    return firm


def _reached_by(make: Maker, firm: Firm) -> list[Base]:
    """An account, a number and a campaign, for the jobs that need one."""
    return [
        BankAccount(
            id=make.id(),
            firm_id=firm.id,
            name="الحساب الجاري",
            bank_name=firm.bank_name,
            iban=firm.iban,
            provider_account_id=f"demo-{make.seed}",
            provider_entity_id=f"demo-entity-{make.seed}",
        ),
        WhatsAppNumber(id=make.id(), firm_id=firm.id, phone_number_id=f"1002003{make.seed:05d}"),
        EmailCampaign(
            id=make.id(),
            firm_id=firm.id,
            name="نشرة الشهر",
            subject="أنظمة جديدة هذا الشهر",
            html='<p>أهم الأنظمة الجديدة <a href="https://firm.example/news">في موقعنا</a>.</p>',
        ),
    ]


def leave_behind(session: AsyncSession, make: Maker, firm: Firm, admin: User) -> None:
    """Store what has had its time, so that the clean-up jobs find something; another seed leaves more."""
    long_ago = make.moment(make.today - timedelta(days=200))
    for n in range(20):
        at = long_ago + timedelta(hours=n)
        token = f"demo-{make.seed}-{n}"
        session.add_all(
            [
                Session(id=make.id(), user_id=admin.id, token_hash=token, created_at=at, expires_at=at),
                OneTimeToken(
                    id=make.id(), user_id=admin.id, purpose=TokenPurpose.OTP, token_hash=token, expires_at=at
                ),
                AuditEntry(id=make.id(), firm_id=firm.id, user_id=admin.id, action="user.sign_in", at=at),
                Notification(
                    id=make.id(),
                    firm_id=firm.id,
                    user_id=admin.id,
                    title="تم سداد فاتورة",
                    message=f"INV-{n + 1:04d}",
                    created_at=at,
                    read_at=at,
                ),
            ]
        )
