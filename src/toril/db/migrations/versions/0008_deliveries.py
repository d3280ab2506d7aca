"""Deliveries: what notification jobs handed over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT, choice

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", ID, nullable=False),
        sa.Column("job", sa.String(320), nullable=False),
        sa.Column("recipient", sa.String(64), nullable=False),
        sa.Column("status", choice("sendstatus", "sending", "sent", "failed"), nullable=False),
        sa.Column("message_id", sa.String(256), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("job", "recipient", name="uq_deliveries_job_recipient"),
    )
    op.create_index("ix_deliveries_created_at", "deliveries", ["created_at"])


def downgrade() -> None:
    op.drop_table("deliveries")
