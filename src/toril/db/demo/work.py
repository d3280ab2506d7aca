"""The demonstration's expenses and time."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from toril.db.demo import words
from toril.db.demo.maker import Maker
from toril.db.models import Case, Expense, Firm, TimeEntry, User

#: Days of work in Saudi Arabia, as ``date.weekday`` counts them: Sunday to Thursday.
_WORKDAYS = (6, 0, 1, 2, 3)


def make_expenses(make: Maker, firm: Firm, cases: list[Case], users: list[User]) -> list[Expense]:
    expenses: list[Expense] = []
    for _ in range(make.days // 3):
        category, description, low, high, for_case = make.chance.choice(words.EXPENSES)
        net = make.price(low, high)
        case = make.chance.choice(cases) if for_case else None
        expenses.append(
            Expense(
                id=make.id(),
                firm_id=firm.id,
                case_id=case.id if case else None,
                user_id=make.chance.choice(users).id,
                category=category,
                description=description,
                amount=net * Decimal("1.15"),
                vat_amount=net * Decimal("0.15"),
                spent_on=make.day(),
                billable=for_case,
            )
        )
    return expenses


def make_time_entries(make: Maker, firm: Firm, cases: list[Case], lawyers: list[User]) -> list[TimeEntry]:
    entries: list[TimeEntry] = []
    days = [make.today - timedelta(days=n) for n in range(min(make.days, 90))]
    for day in (day for day in days if day.weekday() in _WORKDAYS):
        for lawyer in lawyers:
            for _ in range(make.chance.randint(1, 3)):
                billable = make.chance.random() < 0.8
                entries.append(
                    TimeEntry(
                        id=make.id(),
                        firm_id=firm.id,
                        user_id=lawyer.id,
                        case_id=make.chance.choice(cases).id if billable else None,
                        worked_on=day,
                        minutes=make.chance.randrange(15, 181, 15),
                        billable=billable,
                        hourly_rate=Decimal(600) if billable else None,
                        description=make.chance.choice(words.TASKS if billable else words.INTERNAL_TASKS),
                    )
                )
    return entries
