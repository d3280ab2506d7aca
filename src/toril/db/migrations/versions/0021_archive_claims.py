"""Which entries of the audit log somebody is moving to an archive.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "archive_claims",
        sa.Column("id", ID, nullable=False),
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("entries", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("is_written", sa.Boolean(), nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_archive_claims"),
        sa.UniqueConstraint("log", name="uq_archive_claims_log"),
    )


def downgrade() -> None:
    op.drop_table("archive_claims")
