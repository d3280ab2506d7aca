"""Tax documents: in which of ZATCA's environments each is, with a chain of its own there."""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import choice

revision = "0013"
down_revision = "0012"

_ENVIRONMENTS = ("sandbox", "simulation", "production")
_RULES = {"zatca_units": ["firm_id"], "zatca_documents": ["firm_id", "icv"]}


def _here() -> str:
    """Where this installation sends to. No document says where it was sent, and it was there, as there was one
    environment so far; without a setting they count as real, since nothing may be sent twice."""
    environment = os.environ.get("ZATCA_ENVIRONMENT", "").strip()
    return environment if environment in _ENVIRONMENTS else "production"


def upgrade() -> None:
    for table_name, unique in _RULES.items():
        with op.batch_alter_table(table_name) as table:
            kind = choice("zatcaenvironment", *_ENVIRONMENTS)
            table.add_column(sa.Column("environment", kind, nullable=False, server_default=_here()))
            table.drop_constraint(f"uq_{table_name}_{'_'.join(unique)}", type_="unique")
            columns = [unique[0], "environment", *unique[1:]]
            table.create_unique_constraint(f"uq_{table_name}_{'_'.join(columns)}", columns)
        with op.batch_alter_table(table_name) as table:
            table.alter_column("environment", server_default=None)


def downgrade() -> None:
    for table_name, unique in _RULES.items():
        # The tables before this knew one environment: what is of others goes.
        rows = sa.table(table_name, sa.column("environment", sa.String))
        op.execute(sa.delete(rows).where(rows.c.environment != _here()))
        columns = [unique[0], "environment", *unique[1:]]
        with op.batch_alter_table(table_name) as table:
            table.drop_constraint(f"uq_{table_name}_{'_'.join(columns)}", type_="unique")
            table.create_unique_constraint(f"uq_{table_name}_{'_'.join(unique)}", unique)
            table.drop_constraint("zatcaenvironment", type_="check")
            table.drop_column("environment")
