"""A refresh token that was just replaced is told the one that replaced it.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import MOMENT

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("replaced_hash", sa.String(128), nullable=True))
    op.add_column("sessions", sa.Column("successor", sa.Text(), nullable=True))
    op.add_column("sessions", sa.Column("replaced_at", MOMENT, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("sessions") as table:
        for name in ("replaced_at", "successor", "replaced_hash"):
            table.drop_column(name)
