"""Invoices, payments and tax documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from toril.db.migrations.columns import ID, MOMENT, choice, exact

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "invoices",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("case_id", ID, nullable=True),
        sa.Column(
            "status",
            choice("invoicestatus", "draft", "sent", "partial", "paid", "overdue", "void"),
            nullable=False,
        ),
        sa.Column("issue_date", sa.Date(), nullable=False),
        sa.Column("supply_date", sa.Date(), nullable=True),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("language", choice("language", "ar", "en"), nullable=False),
        sa.Column("subtotal", exact(), nullable=False),
        sa.Column("discount", exact(), nullable=False),
        sa.Column("vat_rate", exact(2, 5), nullable=False),
        sa.Column("vat_amount", exact(), nullable=False),
        sa.Column("total", exact(), nullable=False),
        sa.Column("amount_paid", exact(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("payment_terms", sa.Text(), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("paid_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invoices"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_invoices_case_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_invoices_client_id"),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_invoices_firm_id", ondelete="CASCADE"),
        sa.UniqueConstraint("firm_id", "number", name="uq_invoices_firm_id_number"),
        sa.CheckConstraint(
            "subtotal >= 0 AND discount >= 0 AND vat_amount >= 0 AND total >= 0 AND amount_paid >= 0",
            name="amounts",
        ),
    )
    op.create_index("ix_invoices_case_id", "invoices", ["case_id"])
    op.create_index("ix_invoices_client_id_issue_date", "invoices", ["client_id", "issue_date"])
    op.create_index("ix_invoices_firm_id_issue_date", "invoices", ["firm_id", "issue_date"])
    op.create_index("ix_invoices_firm_id_status_due_date", "invoices", ["firm_id", "status", "due_date"])
    op.create_table(
        "invoice_lines",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("invoice_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity", exact(4), nullable=False),
        sa.Column("unit", sa.String(32), nullable=False),
        sa.Column("unit_price", exact(4), nullable=False),
        sa.Column("discount", exact(), nullable=False),
        sa.Column("vat_category", choice("vatcategory", "S", "Z", "E", "O"), nullable=False),
        sa.Column("vat_rate", exact(2, 5), nullable=False),
        sa.Column("net", exact(), nullable=False),
        sa.Column("vat_amount", exact(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invoice_lines"),
        sa.ForeignKeyConstraint(
            ["firm_id"], ["firms.id"], name="fk_invoice_lines_firm_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name="fk_invoice_lines_invoice_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("invoice_id", "position", name="uq_invoice_lines_invoice_id_position"),
        sa.CheckConstraint("quantity >= 0 AND unit_price >= 0 AND discount >= 0", name="amounts"),
    )
    op.create_index("ix_invoice_lines_firm_id", "invoice_lines", ["firm_id"])
    op.create_table(
        "payments",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=True),
        sa.Column("invoice_id", ID, nullable=True),
        sa.Column(
            "method",
            choice(
                "paymentmethod",
                "cash",
                "transfer",
                "cheque",
                "card",
                "mada",
                "stcpay",
                "applepay",
                "sadad",
                "other",
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            choice(
                "paymentstatus",
                "pending",
                "processing",
                "completed",
                "failed",
                "cancelled",
                "refunded",
                "reconciled",
            ),
            nullable=False,
        ),
        sa.Column("amount", exact(), nullable=False),
        sa.Column("refunded_amount", exact(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("provider", sa.String(32), nullable=True),
        sa.Column("provider_payment_id", sa.String(128), nullable=True),
        sa.Column("bill_number", sa.String(64), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("paid_at", MOMENT, nullable=True),
        sa.Column("checked_at", MOMENT, nullable=True),
        sa.Column("review", sa.Text(), nullable=True),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_payments_client_id"),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_payments_firm_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name="fk_payments_invoice_id"),
        sa.UniqueConstraint("firm_id", "bill_number", name="uq_payments_firm_id_bill_number"),
        sa.UniqueConstraint(
            "firm_id",
            "provider",
            "provider_payment_id",
            name="uq_payments_firm_id_provider_provider_payment_id",
        ),
        sa.CheckConstraint("amount >= 0 AND refunded_amount >= 0", name="amounts"),
    )
    op.create_index("ix_payments_client_id", "payments", ["client_id"])
    op.create_index("ix_payments_firm_id_paid_on", "payments", ["firm_id", "paid_on"])
    op.create_index("ix_payments_firm_id_status", "payments", ["firm_id", "status"])
    op.create_index("ix_payments_invoice_id", "payments", ["invoice_id"])
    op.create_table(
        "zatca_units",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("last_icv", sa.Integer(), nullable=False),
        sa.Column("last_hash", sa.String(128), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_zatca_units"),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_zatca_units_firm_id", ondelete="CASCADE"),
        sa.UniqueConstraint("firm_id", name="uq_zatca_units_firm_id"),
    )
    op.create_table(
        "zatca_documents",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("invoice_id", ID, nullable=False),
        sa.Column("kind", choice("zatcakind", "standard", "simplified"), nullable=False),
        sa.Column(
            "status", choice("zatcastatus", "pending", "reported", "cleared", "rejected"), nullable=False
        ),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("icv", sa.Integer(), nullable=False),
        sa.Column("previous_hash", sa.String(128), nullable=False),
        sa.Column("hash", sa.String(128), nullable=False),
        sa.Column("xml", sa.Text(), nullable=False),
        sa.Column("qr", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("submission_unknown", sa.Boolean(), nullable=False),
        sa.Column("submitted_at", MOMENT, nullable=True),
        sa.Column("cleared_xml", sa.Text(), nullable=True),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_zatca_documents"),
        sa.ForeignKeyConstraint(
            ["firm_id"], ["firms.id"], name="fk_zatca_documents_firm_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name="fk_zatca_documents_invoice_id"),
        sa.UniqueConstraint("firm_id", "icv", name="uq_zatca_documents_firm_id_icv"),
        sa.UniqueConstraint("uuid", name="uq_zatca_documents_uuid"),
        sa.CheckConstraint("icv > 0", name="icv"),
    )
    op.create_index("ix_zatca_documents_firm_id_status", "zatca_documents", ["firm_id", "status"])
    op.create_index("ix_zatca_documents_invoice_id_icv", "zatca_documents", ["invoice_id", "icv"])


def downgrade() -> None:
    op.drop_table("zatca_documents")
    op.drop_table("zatca_units")
    op.drop_table("payments")
    op.drop_table("invoice_lines")
    op.drop_table("invoices")
