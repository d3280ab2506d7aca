"""Job owners: who asked for a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "job_owners",
        sa.Column("id", ID, nullable=False),
        sa.Column("queue", sa.String(128), nullable=False),
        sa.Column("job_id", sa.String(256), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_owners"),
        sa.UniqueConstraint("queue", "job_id", name="uq_job_owners_queue_job_id"),
    )
    op.create_index("ix_job_owners_created_at", "job_owners", ["created_at"])


def downgrade() -> None:
    op.drop_table("job_owners")
