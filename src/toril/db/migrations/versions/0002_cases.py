"""Clients, their cases, and the work on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT, choice, exact

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "clients",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("kind", choice("clientkind", "person", "business", "government"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.String(320), nullable=True),
        sa.Column("phone", sa.String(32), nullable=True),
        sa.Column("vat_number", sa.String(15), nullable=True),
        sa.Column("national_id", sa.String(20), nullable=True),
        sa.Column("commercial_registration", sa.String(20), nullable=True),
        sa.Column("street", sa.Text(), nullable=True),
        sa.Column("building_number", sa.String(10), nullable=True),
        sa.Column("district", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("postal_code", sa.String(10), nullable=True),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("language", choice("language", "ar", "en"), nullable=False),
        sa.Column("client_since", sa.Date(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clients"),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_clients_firm_id", ondelete="CASCADE"),
    )
    op.create_index("ix_clients_firm_id_client_since", "clients", ["firm_id", "client_since"])
    op.create_index("ix_clients_firm_id_email", "clients", ["firm_id", "email"])
    op.create_table(
        "cases",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("lawyer_id", ID, nullable=True),
        sa.Column(
            "type",
            choice(
                "casetype",
                "commercial",
                "labour",
                "criminal",
                "family",
                "administrative",
                "real_estate",
                "enforcement",
                "other",
            ),
            nullable=False,
        ),
        sa.Column("status", choice("casestatus", "open", "pending", "on_hold", "closed"), nullable=False),
        sa.Column("court", sa.Text(), nullable=True),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_cases_client_id"),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_cases_firm_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["lawyer_id"], ["users.id"], name="fk_cases_lawyer_id", ondelete="SET NULL"),
    )
    op.create_index("ix_cases_client_id", "cases", ["client_id"])
    op.create_index("ix_cases_firm_id_number", "cases", ["firm_id", "number"], unique=True)
    op.create_index("ix_cases_firm_id_opened_on", "cases", ["firm_id", "opened_on"])
    op.create_index("ix_cases_firm_id_status_type", "cases", ["firm_id", "status", "type"])
    op.create_index("ix_cases_lawyer_id", "cases", ["lawyer_id"])
    op.create_table(
        "time_entries",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("case_id", ID, nullable=True),
        sa.Column("worked_on", sa.Date(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("billable", sa.Boolean(), nullable=False),
        sa.Column("hourly_rate", exact(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_time_entries"),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name="fk_time_entries_case_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["firm_id"], ["firms.id"], name="fk_time_entries_firm_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_time_entries_user_id"),
        sa.CheckConstraint("minutes > 0", name="minutes"),
    )
    op.create_index("ix_time_entries_case_id", "time_entries", ["case_id"])
    op.create_index(
        "ix_time_entries_firm_id_worked_on_user_id", "time_entries", ["firm_id", "worked_on", "user_id"]
    )
    op.create_index("ix_time_entries_user_id", "time_entries", ["user_id"])
    op.create_table(
        "expenses",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("case_id", ID, nullable=True),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("amount", exact(), nullable=False),
        sa.Column("vat_amount", exact(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("spent_on", sa.Date(), nullable=False),
        sa.Column("billable", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_expenses"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_expenses_case_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_expenses_firm_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_expenses_user_id", ondelete="SET NULL"),
        sa.CheckConstraint("amount >= 0 AND vat_amount >= 0", name="amounts"),
    )
    op.create_index("ix_expenses_case_id", "expenses", ["case_id"])
    op.create_index("ix_expenses_firm_id_spent_on", "expenses", ["firm_id", "spent_on"])


def downgrade() -> None:
    op.drop_table("expenses")
    op.drop_table("time_entries")
    op.drop_table("cases")
    op.drop_table("clients")
