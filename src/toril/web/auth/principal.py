"""Whom a request comes from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from toril.db.models import ApiKey, Role, User


class Scope(StrEnum):
    """What an API key may be for. Its user's role limits it further."""

    QUEUES_READ = "queues:read"
    QUEUES_WRITE = "queues:write"
    RECORDS_READ = "records:read"
    RECORDS_WRITE = "records:write"
    ADMIN = "admin"  #: everything its user may do


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who is signed in, or a machine with a key that acts for them.

    Attributes:
        firm_id: None for whoever runs the installation.
        session_id: of the sign-in; None when a key is used.
        key_id: of the key; None when somebody is signed in.
        scopes: what the key is for; None for everything the role allows.
    """

    user_id: str
    firm_id: str | None
    email: str
    name: str
    role: Role
    session_id: str | None = None
    key_id: str | None = None
    scopes: frozenset[str] | None = None

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN

    def allows(self, scope: str) -> bool:
        """Whether a key, if it is one, is for ``scope``. Writing includes reading, and admin everything."""
        if self.scopes is None or Scope.ADMIN in self.scopes or scope in self.scopes:
            return True
        kind, _, what = scope.partition(":")
        return what == "read" and f"{kind}:write" in self.scopes

    @classmethod
    def of_session(cls, user: User, session_id: str) -> Principal:
        """A user who is signed in."""
        return cls(
            user_id=user.id,
            firm_id=user.firm_id,
            email=user.email,
            name=user.name,
            role=user.role,
            session_id=session_id,
        )

    @classmethod
    def of_key(cls, user: User, key: ApiKey) -> Principal:
        """A machine that acts for a user."""
        return cls(
            user_id=user.id,
            firm_id=user.firm_id,
            email=user.email,
            name=user.name,
            role=user.role,
            key_id=key.id,
            scopes=frozenset(map(str, key.scopes)),
        )
