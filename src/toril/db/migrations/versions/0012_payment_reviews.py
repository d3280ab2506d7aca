"""Payments: what a person decided about one, how many answers it has, and one payment for each id of a provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

#: Of several with one id the oldest keeps it; who has the money must be looked up by a person.
_GIVE_UP_IDS = """
UPDATE payments SET
  review = 'its id ' || provider_payment_id || ' at ' || provider || ' is that of another payment too, which keeps it',
  provider_payment_id = NULL
WHERE provider IS NOT NULL AND provider_payment_id IS NOT NULL AND EXISTS (
  SELECT 1 FROM payments AS older
  WHERE older.provider = payments.provider AND older.provider_payment_id = payments.provider_payment_id
  AND (older.created_at < payments.created_at OR (older.created_at = payments.created_at AND older.id < payments.id))
)
"""


def upgrade() -> None:
    op.execute(_GIVE_UP_IDS)
    with op.batch_alter_table("payments") as table:
        table.add_column(sa.Column("reviewed", sa.Text(), nullable=True))
        table.add_column(sa.Column("answer_count", sa.Integer(), nullable=False, server_default="0"))
        table.drop_constraint("uq_payments_firm_id_provider_provider_payment_id", type_="unique")
        table.create_unique_constraint(
            "uq_payments_provider_provider_payment_id", ["provider", "provider_payment_id"]
        )
    with op.batch_alter_table("payments") as table:
        table.alter_column("answer_count", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("payments") as table:
        table.drop_constraint("uq_payments_provider_provider_payment_id", type_="unique")
        table.create_unique_constraint(
            "uq_payments_firm_id_provider_provider_payment_id", ["firm_id", "provider", "provider_payment_id"]
        )
        table.drop_column("answer_count")
        table.drop_column("reviewed")
