"""Notifications and WhatsApp messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT, choice

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("job_id", sa.String(256), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("read_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.UniqueConstraint("job_id", name="uq_notifications_job_id"),
    )
    op.create_index("ix_notifications_firm_id", "notifications", ["firm_id"])
    op.create_index("ix_notifications_read_at", "notifications", ["read_at"])
    op.create_index(
        "ix_notifications_user_id_read_at_created_at", "notifications", ["user_id", "read_at", "created_at"]
    )
    op.create_table(
        "push_subscriptions",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("endpoint", sa.String(2048), nullable=False),
        sa.Column("p256dh", sa.String(128), nullable=False),
        sa.Column("auth", sa.String(64), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_push_subscriptions"),
        sa.UniqueConstraint("endpoint", name="uq_push_subscriptions_endpoint"),
    )
    op.create_index("ix_push_subscriptions_user_id", "push_subscriptions", ["user_id"])
    op.create_table(
        "whatsapp_numbers",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("phone_number_id", sa.String(64), nullable=False),
        sa.Column("display_number", sa.String(32), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_whatsapp_numbers"),
        sa.ForeignKeyConstraint(
            ["firm_id"], ["firms.id"], name="fk_whatsapp_numbers_firm_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("phone_number_id", name="uq_whatsapp_numbers_phone_number_id"),
    )
    op.create_index("ix_whatsapp_numbers_firm_id", "whatsapp_numbers", ["firm_id"])
    op.create_table(
        "whatsapp_inbox",
        sa.Column("id", ID, nullable=False),
        sa.Column("phone_number_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("processed_at", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_whatsapp_inbox"),
        sa.UniqueConstraint("phone_number_id", "digest", name="uq_whatsapp_inbox_phone_number_id_digest"),
    )
    op.create_index(
        "ix_whatsapp_inbox_phone_number_id_processed_at_received_at",
        "whatsapp_inbox",
        ["phone_number_id", "processed_at", "received_at"],
    )
    op.create_table(
        "whatsapp_messages",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("phone_number_id", sa.String(64), nullable=False),
        sa.Column("message_id", sa.String(128), nullable=False),
        sa.Column("direction", choice("messagedirection", "inbound", "outbound"), nullable=False),
        sa.Column("contact", sa.String(128), nullable=True),
        sa.Column("contact_name", sa.Text(), nullable=True),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column(
            "status",
            choice("messagestatus", "pending", "sent", "delivered", "read", "failed", "deleted", "received"),
            nullable=False,
        ),
        sa.Column("status_at", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_whatsapp_messages"),
        sa.ForeignKeyConstraint(
            ["firm_id"], ["firms.id"], name="fk_whatsapp_messages_firm_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "phone_number_id", "message_id", name="uq_whatsapp_messages_phone_number_id_message_id"
        ),
    )
    op.create_index("ix_whatsapp_messages_firm_id_sent_at", "whatsapp_messages", ["firm_id", "sent_at"])
    op.create_index(
        "ix_whatsapp_messages_phone_number_id_contact_sent_at",
        "whatsapp_messages",
        ["phone_number_id", "contact", "sent_at"],
    )


def downgrade() -> None:
    op.drop_table("whatsapp_messages")
    op.drop_table("whatsapp_inbox")
    op.drop_table("whatsapp_numbers")
    op.drop_table("push_subscriptions")
    op.drop_table("notifications")
