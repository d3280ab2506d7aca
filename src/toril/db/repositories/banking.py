"""Bank accounts, their transactions, and currency rates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from toril.db.models.banking import BankAccount, BankTransaction, CurrencyRate
from toril.db.repositories.base import Repository
from toril.db.upsert import upsert

#: What a bank may still change about a transaction that it has reported.
_CHANGEABLE: Final = (
    "direction",
    "amount",
    "currency",
    "balance",
    "booked_on",
    "booked_at",
    "description",
    "reference",
    "category",
    "payee",
    "settled",
    "raw",
)


class BankAccounts(Repository):
    """The firm's bank accounts."""

    async def get(self, account_id: str, *, firm_id: str, lock: bool = False) -> BankAccount:
        """The firm's account.

        Args:
            lock: no other transaction may change it until this one ends.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(BankAccount, account_id, firm_id=firm_id, lock=lock)

    async def save_transactions(self, account: BankAccount, rows: Sequence[dict[str, Any]]) -> int:
        """Store one page of transactions; those that are there take what the bank says now.

        Args:
            rows: attributes of ``BankTransaction``, the same in each, without account and firm.

        Returns:
            How many were not there before.
        """
        own = {"account_id": account.id, "firm_id": account.firm_id}
        return await upsert(
            self.session,
            BankTransaction,
            [{**row, **own} for row in rows],
            key=["account_id", "provider_transaction_id"],
            change=[name for name in _CHANGEABLE if rows and name in rows[0]],
        )


class CurrencyRates(Repository):
    """Rates of all days, the same for every firm."""

    async def save(
        self, base: str, rates: dict[str, Decimal], *, as_of: date, source: str, now: datetime
    ) -> int:
        """Store the rates of a day from one source, over those that it gave before; returns how many are new.

        Args:
            rates: by currency; ``1 base = rate currency``.
        """
        rows = [
            {
                "base": base,
                "currency": currency,
                "rate": rate,
                "as_of": as_of,
                "source": source,
                "fetched_at": now,
            }
            for currency, rate in rates.items()
        ]
        key = ["base", "currency", "source", "as_of"]
        return await upsert(self.session, CurrencyRate, rows, key=key, change=["rate", "fetched_at"])

    async def latest(self, base: str) -> dict[str, CurrencyRate]:
        """The newest rate of each currency; of several for one day the one fetched last."""
        order = func.row_number().over(
            partition_by=CurrencyRate.currency,
            order_by=(CurrencyRate.as_of.desc(), CurrencyRate.fetched_at.desc(), CurrencyRate.id.desc()),
        )
        ranked = select(CurrencyRate, order.label("place")).where(CurrencyRate.base == base).subquery()
        newest = aliased(CurrencyRate, ranked)
        found = await self.session.scalars(select(newest).where(ranked.c.place == 1))
        return {rate.currency: rate for rate in found}
