"""Mail events: what a provider tells of mails it has taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "mail_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("event_id", sa.String(128), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("message_id", sa.String(256), nullable=True),
        sa.Column("recipient", sa.String(320), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mail_events"),
        sa.UniqueConstraint("event_id", name="uq_mail_events_event_id"),
    )
    op.create_index("ix_mail_events_message_id_at", "mail_events", ["message_id", "at"])
    op.create_index("ix_mail_events_created_at", "mail_events", ["created_at"])


def downgrade() -> None:
    op.drop_table("mail_events")
