"""Indexes for what looked through whole tables: jobs' reports, mails by their ids, what waits, and what has had its
time."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"

_INDEXES: dict[str, list[tuple[str, ...]]] = {
    "zatca_documents": [("status", "environment")],
    "campaign_sends": [("message_id",), ("created_at",)],
    "bulk_sends": [("message_id",)],
    "generated_files": [("kind", "created_at")],
    "reports": [("job_id",), ("created_at",)],
    "sessions": [("revoked_at",)],
    "one_time_tokens": [("used_at",)],
    "whatsapp_inbox": [("processed_at",)],
    "notifications": [("read_at", "created_at")],
}


def upgrade() -> None:
    for table, wanted in _INDEXES.items():
        for columns in wanted:
            op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
    op.drop_index("ix_notifications_read_at", table_name="notifications")


def downgrade() -> None:
    op.create_index("ix_notifications_read_at", "notifications", ["read_at"])
    for table, wanted in _INDEXES.items():
        for columns in wanted:
            op.drop_index(f"ix_{table}_{'_'.join(columns)}", table_name=table)
