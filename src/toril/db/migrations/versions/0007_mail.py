"""Mail: campaigns, what was sent, and who wants no more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT, choice

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "email_campaigns",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_email_campaigns"),
        sa.ForeignKeyConstraint(
            ["firm_id"], ["firms.id"], name="fk_email_campaigns_firm_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_email_campaigns_firm_id_created_at", "email_campaigns", ["firm_id", "created_at"])
    op.create_table(
        "campaign_sends",
        sa.Column("id", ID, nullable=False),
        sa.Column("campaign_id", sa.String(64), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("tracking_id", sa.String(128), nullable=False),
        sa.Column("status", choice("sendstatus", "sending", "sent", "failed"), nullable=False),
        sa.Column("message_id", sa.String(256), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_campaign_sends"),
        sa.UniqueConstraint("campaign_id", "email", name="uq_campaign_sends_campaign_id_email"),
        sa.UniqueConstraint("tracking_id", name="uq_campaign_sends_tracking_id"),
    )
    op.create_table(
        "tracking_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("send_id", ID, nullable=False),
        sa.Column("kind", choice("trackingkind", "open", "click"), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tracking_events"),
        sa.ForeignKeyConstraint(
            ["send_id"], ["campaign_sends.id"], name="fk_tracking_events_send_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_tracking_events_send_id_kind", "tracking_events", ["send_id", "kind"])
    op.create_table(
        "bulk_sends",
        sa.Column("id", ID, nullable=False),
        sa.Column("job", sa.String(320), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("status", choice("sendstatus", "sending", "sent", "failed"), nullable=False),
        sa.Column("message_id", sa.String(256), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bulk_sends"),
        sa.UniqueConstraint("job", "email", name="uq_bulk_sends_job_email"),
    )
    op.create_index("ix_bulk_sends_created_at", "bulk_sends", ["created_at"])
    op.create_table(
        "mail_suppressions",
        sa.Column("id", ID, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mail_suppressions"),
        sa.UniqueConstraint("email", name="uq_mail_suppressions_email"),
    )


def downgrade() -> None:
    op.drop_table("mail_suppressions")
    op.drop_table("bulk_sends")
    op.drop_table("tracking_events")
    op.drop_table("campaign_sends")
    op.drop_table("email_campaigns")
