"""Saved reports, and the files that jobs made."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified, OfFirm
from toril.db.types import Id, utc_now


class ReportStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


class GeneratedFile(Identified, Base):
    """A file that a job made. Jobs of a Node application name firms and users of its own database, so they are
    no foreign keys here; a file is still read by its firm only."""

    __tablename__ = "generated_files"
    __table_args__ = (
        Index(None, "firm_id", "kind", "created_at"),
        Index(None, "queue", "job_id"),
        Index(None, "kind", "created_at"),
    )

    firm_id: Mapped[str] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(String(32))  #: such as invoice, report, export
    name: Mapped[str]
    path: Mapped[str]  #: in the file store
    size: Mapped[int] = mapped_column(BigInteger)  #: bytes
    media_type: Mapped[str] = mapped_column(String(128))
    queue: Mapped[str | None] = mapped_column(String(128))
    job_id: Mapped[str | None] = mapped_column(String(256))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Report(Identified, OfFirm, Base):
    """A report somebody asked for: what it is of, how far it is, and what it says in short."""

    __tablename__ = "reports"
    __table_args__ = (
        Index(None, "firm_id", "created_at"),
        Index(None, "file_id"),
        Index(None, "job_id"),
        Index(None, "created_at"),
    )

    type: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(default="")
    status: Mapped[ReportStatus] = mapped_column(default=ReportStatus.QUEUED)
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    summary: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]
    file_id: Mapped[str | None] = mapped_column(Id, ForeignKey("generated_files.id", ondelete="SET NULL"))
    job_id: Mapped[str | None] = mapped_column(String(256))
    requested_by: Mapped[str | None] = mapped_column(Id, ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
