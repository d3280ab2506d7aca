"""Suppressed addresses: of one firm or of all, and every reason there is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    with op.batch_alter_table("mail_suppressions") as table:
        # What is there was noted without a firm, so it goes on to count for all.
        table.add_column(sa.Column("scope", sa.String(24), nullable=False, server_default=""))
        table.drop_constraint("uq_mail_suppressions_email", type_="unique")
        table.create_unique_constraint(
            "uq_mail_suppressions_email_scope_reason", ["email", "scope", "reason"]
        )
    with op.batch_alter_table("mail_suppressions") as table:
        table.alter_column("scope", server_default=None)


def downgrade() -> None:
    rows = sa.table("mail_suppressions", sa.column("id", sa.String), sa.column("email", sa.String))
    first = sa.select(sa.func.min(rows.c.id)).group_by(rows.c.email)
    op.execute(sa.delete(rows).where(rows.c.id.not_in(first.scalar_subquery())))
    with op.batch_alter_table("mail_suppressions") as table:
        table.drop_constraint("uq_mail_suppressions_email_scope_reason", type_="unique")
        table.create_unique_constraint("uq_mail_suppressions_email", ["email"])
        table.drop_column("scope")
