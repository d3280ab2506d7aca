"""Bank accounts, their transactions, and currency rates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT, choice, exact

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "bank_accounts",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bank_name", sa.Text(), nullable=False),
        sa.Column("iban", sa.String(34), nullable=True),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("provider_account_id", sa.String(128), nullable=True),
        sa.Column("provider_entity_id", sa.String(128), nullable=True),
        sa.Column(
            "status", choice("accountstatus", "connected", "requires_reauth", "disconnected"), nullable=False
        ),
        sa.Column("balance", exact(), nullable=True),
        sa.Column("synced_at", MOMENT, nullable=True),
        sa.Column("synced_until", sa.Date(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bank_accounts"),
        sa.ForeignKeyConstraint(
            ["firm_id"], ["firms.id"], name="fk_bank_accounts_firm_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "firm_id",
            "provider",
            "provider_account_id",
            name="uq_bank_accounts_firm_id_provider_provider_account_id",
        ),
    )
    op.create_table(
        "bank_transactions",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("provider_transaction_id", sa.String(128), nullable=False),
        sa.Column("direction", choice("direction", "credit", "debit"), nullable=False),
        sa.Column("amount", exact(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("balance", exact(), nullable=True),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("booked_at", MOMENT, nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("payee", sa.Text(), nullable=True),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.String(256), nullable=True),
        sa.Column("raw", sa.JSON(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bank_transactions"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["bank_accounts.id"], name="fk_bank_transactions_account_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["firm_id"], ["firms.id"], name="fk_bank_transactions_firm_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "account_id",
            "provider_transaction_id",
            name="uq_bank_transactions_account_id_provider_transaction_id",
        ),
        sa.CheckConstraint("amount >= 0", name="amount"),
    )
    op.create_index(
        "ix_bank_transactions_account_id_booked_on", "bank_transactions", ["account_id", "booked_on"]
    )
    op.create_index("ix_bank_transactions_firm_id_booked_on", "bank_transactions", ["firm_id", "booked_on"])
    op.create_table(
        "currency_rates",
        sa.Column("id", ID, nullable=False),
        sa.Column("base", sa.String(3), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("rate", exact(12, 19), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("fetched_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_currency_rates"),
        sa.UniqueConstraint(
            "base", "currency", "source", "as_of", name="uq_currency_rates_base_currency_source_as_of"
        ),
        sa.CheckConstraint("rate > 0", name="rate"),
    )
    op.create_index("ix_currency_rates_base_as_of", "currency_rates", ["base", "as_of"])


def downgrade() -> None:
    op.drop_table("currency_rates")
    op.drop_table("bank_transactions")
    op.drop_table("bank_accounts")
