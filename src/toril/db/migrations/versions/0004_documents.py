"""Contracts, files and reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT, choice

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "contracts",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=True),
        sa.Column("case_id", ID, nullable=True),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "status",
            choice("contractstatus", "draft", "sent", "signed", "expired", "terminated"),
            nullable=False,
        ),
        sa.Column("parties", sa.JSON(), nullable=False),
        sa.Column("clauses", sa.JSON(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("signed_at", MOMENT, nullable=True),
        sa.Column("counterparty_name", sa.Text(), nullable=True),
        sa.Column("counterparty_registration", sa.String(20), nullable=True),
        sa.Column(
            "wathq_status",
            choice("wathqstatus", "verified", "inactive", "not_found", "mismatch", "error"),
            nullable=True,
        ),
        sa.Column("wathq_checked_at", MOMENT, nullable=True),
        sa.Column("wathq_answer", sa.JSON(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contracts"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_contracts_case_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_contracts_client_id"),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_contracts_firm_id", ondelete="CASCADE"),
    )
    op.create_index("ix_contracts_case_id", "contracts", ["case_id"])
    op.create_index("ix_contracts_client_id", "contracts", ["client_id"])
    op.create_index("ix_contracts_firm_id_status", "contracts", ["firm_id", "status"])
    op.create_table(
        "generated_files",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("queue", sa.String(128), nullable=True),
        sa.Column("job_id", sa.String(256), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generated_files"),
    )
    op.create_index(
        "ix_generated_files_firm_id_kind_created_at", "generated_files", ["firm_id", "kind", "created_at"]
    )
    op.create_index("ix_generated_files_queue_job_id", "generated_files", ["queue", "job_id"])
    op.create_table(
        "reports",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", choice("reportstatus", "queued", "running", "ready", "failed"), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("file_id", ID, nullable=True),
        sa.Column("job_id", sa.String(256), nullable=True),
        sa.Column("requested_by", ID, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
        sa.ForeignKeyConstraint(
            ["file_id"], ["generated_files.id"], name="fk_reports_file_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_reports_firm_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["users.id"], name="fk_reports_requested_by", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_reports_file_id", "reports", ["file_id"])
    op.create_index("ix_reports_firm_id_created_at", "reports", ["firm_id", "created_at"])


def downgrade() -> None:
    op.drop_table("reports")
    op.drop_table("generated_files")
    op.drop_table("contracts")
