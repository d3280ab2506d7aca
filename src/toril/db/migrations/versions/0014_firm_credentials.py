"""Credentials of firms at outside services; and one account of ours for each of a provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT

revision = "0014"
down_revision = "0013"

#: Of several that read one account the oldest goes on; the others are to be connected by their own firm.
_GIVE_UP_ACCOUNTS = """
UPDATE bank_accounts SET status = 'disconnected', provider_account_id = NULL
WHERE provider_account_id IS NOT NULL AND EXISTS (
  SELECT 1 FROM bank_accounts AS older
  WHERE older.provider = bank_accounts.provider AND older.provider_account_id = bank_accounts.provider_account_id
  AND (older.created_at < bank_accounts.created_at
    OR (older.created_at = bank_accounts.created_at AND older.id < bank_accounts.id))
)
"""


def upgrade() -> None:
    op.create_table(
        "firm_credentials",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("service", sa.String(32), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_firm_credentials"),
        sa.ForeignKeyConstraint(
            ["firm_id"], ["firms.id"], name="fk_firm_credentials_firm_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("firm_id", "service", name="uq_firm_credentials_firm_id_service"),
    )
    op.execute(_GIVE_UP_ACCOUNTS)
    with op.batch_alter_table("bank_accounts") as table:
        table.drop_constraint("uq_bank_accounts_firm_id_provider_provider_account_id", type_="unique")
        table.create_unique_constraint(
            "uq_bank_accounts_provider_provider_account_id", ["provider", "provider_account_id"]
        )


def downgrade() -> None:
    with op.batch_alter_table("bank_accounts") as table:
        table.drop_constraint("uq_bank_accounts_provider_provider_account_id", type_="unique")
        table.create_unique_constraint(
            "uq_bank_accounts_firm_id_provider_provider_account_id",
            ["firm_id", "provider", "provider_account_id"],
        )
    op.drop_table("firm_credentials")
