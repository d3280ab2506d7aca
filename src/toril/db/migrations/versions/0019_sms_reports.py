"""What SMS providers tell: how far messages came, and who wants none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("provider", sa.String(32), nullable=True))
    op.create_table(
        "sms_reports",
        sa.Column("id", ID, nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("message_id", sa.String(256), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sms_reports"),
        sa.UniqueConstraint("provider", "message_id", name="uq_sms_reports_provider_message_id"),
    )
    op.create_index("ix_sms_reports_created_at", "sms_reports", ["created_at"])
    op.create_table(
        "sms_opt_outs",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sms_opt_outs"),
        sa.UniqueConstraint("number", name="uq_sms_opt_outs_number"),
    )


def downgrade() -> None:
    op.drop_table("sms_opt_outs")
    op.drop_table("sms_reports")
    op.drop_column("deliveries", "provider")
