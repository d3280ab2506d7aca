"""What lets people and machines in, and what they did: sessions, tokens, keys, attempts, the audit log.

Secrets are never stored, only their hashes.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified
from toril.db.types import Id, utc_now


class TokenPurpose(StrEnum):
    OTP = "otp"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a name
    EMAIL_VERIFICATION = "email_verification"
    INVITATION = "invitation"


class Session(Identified, Base):
    """One sign-in: a family of refresh tokens of which only the newest is good.

    ``token_hash`` is the newest one's; whoever shows an older one has stolen it, or was stolen from. Only the one it
    replaced is still known for a moment, as two tabs of a browser may show it at once: ``successor`` is the newest
    token, sealed by the one it replaced, so that nobody reads it who does not have that.
    """

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"), Index(None, "revoked_at"))

    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    replaced_hash: Mapped[str | None] = mapped_column(String(128))
    successor: Mapped[str | None]
    replaced_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    address: Mapped[str | None] = mapped_column(String(64))  #: of the client's network
    user_agent: Mapped[str | None]


class OneTimeToken(Identified, Base):
    """A code or link that works once, until it expires."""

    __tablename__ = "one_time_tokens"
    __table_args__ = (
        UniqueConstraint("purpose", "token_hash"),
        Index(None, "user_id", "purpose"),
        Index(None, "expires_at"),
        Index(None, "used_at"),
    )

    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    purpose: Mapped[TokenPurpose]
    token_hash: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ApiKey(Identified, Base):
    """A key for a machine, acting for a user within its scopes."""

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "user_id"),)

    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    key_hash: Mapped[str] = mapped_column(String(128), unique=True)
    hint: Mapped[str] = mapped_column(String(16))  #: the key's first characters, to tell keys apart
    scopes: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuditEntry(Identified, Base):
    """Something that somebody did. Outlives the user and the firm it names, so they are no foreign keys."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "firm_id", "at"), Index(None, "at"))

    firm_id: Mapped[str | None] = mapped_column(Id)
    user_id: Mapped[str | None] = mapped_column(Id)
    action: Mapped[str] = mapped_column(String(100))  #: such as ``queue.pause``
    target: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    address: Mapped[str | None] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(default=utc_now)
