"""Firms and users."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from toril.db.errors import RecordNotFoundError
from toril.db.ids import is_id
from toril.db.models.firms import Firm, Role, User
from toril.db.repositories.base import Repository


class Firms(Repository):
    """The tenants."""

    async def get(self, firm_id: str) -> Firm:
        """The firm with this id.

        Raises:
            RecordNotFoundError: there is none.
        """
        firm = await self.session.get(Firm, firm_id) if is_id(firm_id) else None
        if firm is None:
            raise RecordNotFoundError("firm", firm_id)
        return firm

    async def list(self) -> Sequence[Firm]:
        """All firms, for the schedules that do something for each."""
        return (await self.session.scalars(select(Firm).order_by(Firm.id))).all()


class Users(Repository):
    """The people of firms, and those who run the installation.

    Who signs in has no firm yet, so three methods ask for none; what they return decides the firm.
    """

    async def get(self, user_id: str, *, firm_id: str) -> User:
        """The firm's user with this id.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(User, user_id, firm_id=firm_id)

    async def find_by_email(self, email: str) -> User | None:
        """Whoever signs in with this address; active or not."""
        return await self.session.scalar(select(User).where(User.email == email.strip().lower()))

    async def find_active(self, user_id: str) -> User | None:
        """Whom a token speaks for; None when they are gone or may not sign in any more."""
        return await self.session.scalar(select(User).where(User.id == user_id, User.active))

    async def list(self, *, firm_id: str | None = None) -> Sequence[User]:
        """The users of one firm, or of all of them for whoever runs the installation; by address."""
        statement = select(User).order_by(User.email)
        if firm_id is not None:
            statement = statement.where(User.firm_id == firm_id)
        return (await self.session.scalars(statement)).all()

    async def has_admin(self) -> bool:
        """Whether anybody could sign in as an administrator."""
        may = (User.role == Role.ADMIN, User.active, User.password_hash.is_not(None))
        statement = select(User.id).where(*may).limit(1)
        return await self.session.scalar(statement) is not None

    async def lock_admins(self) -> None:
        """Let nobody else change an administrator until this transaction ends."""
        statement = select(User.id).where(User.role == Role.ADMIN, User.active).order_by(User.id)
        await self.session.execute(statement.with_for_update())

    async def anybody_signs_in(self) -> bool:
        """Whether there is any user with a password, so that the installation is somebody's already."""
        statement = select(User.id).where(User.password_hash.is_not(None)).limit(1)
        return await self.session.scalar(statement) is not None
