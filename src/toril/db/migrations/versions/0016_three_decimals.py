"""Money with three decimals, as dinars and Omani riyals have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import exact

revision = "0016"
down_revision = "0015"

_COLUMNS = {
    "time_entries": ("hourly_rate",),
    "expenses": ("amount", "vat_amount"),
    "invoices": ("subtotal", "discount", "vat_amount", "total", "amount_paid"),
    "invoice_lines": ("discount", "net", "vat_amount"),
    "payments": ("amount", "refunded_amount"),
    "bank_accounts": ("balance",),
    "bank_transactions": ("amount", "balance"),
}


def upgrade() -> None:
    _change(3)


def downgrade() -> None:
    # A third decimal is rounded away: the tables before this had no place for it.
    _change(2)


def _change(scale: int) -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table_name, columns in _COLUMNS.items():
        if is_sqlite:  # which keeps whole numbers of the smallest unit
            table = sa.table(table_name, *(sa.column(name, sa.BigInteger) for name in columns))
            new = {
                name: table.c[name] * 10
                if scale == 3
                else sa.cast(sa.func.round(table.c[name] / 10.0), sa.BigInteger)
                for name in columns
            }
            op.execute(sa.update(table).values(new))
        else:
            for name in columns:
                op.alter_column(table_name, name, type_=exact(scale))
