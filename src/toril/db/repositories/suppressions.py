"""Addresses that get no more mail, of one firm or of all."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import ColumnElement, delete, select

from toril.db.ids import check_id
from toril.db.models.mail import STOPS_ALL, MailSuppression, SuppressionReason
from toril.db.repositories.base import Page, Repository
from toril.db.upsert import insert_new

#: Addresses that one query asks for; SQLite takes 32,766 values.
_STEP: Final = 500


class Suppressions(Repository):
    """The list. Addresses are told apart without regard to case."""

    async def add(self, email: str, *, reason: str, firm_id: str | None = None) -> bool:
        """Put an address on the list, unless it is there for this reason.

        Args:
            firm_id: whose mail it gets no more; None for that of all.

        Returns:
            Whether it is new.
        """
        row = {"email": _plain(email), "scope": _scope(firm_id), "reason": SuppressionReason(reason).value}
        return bool(await insert_new(self.session, MailSuppression, [row], key=["email", "scope", "reason"]))

    async def get(self, email: str, *, reason: str, firm_id: str | None) -> MailSuppression | None:
        """One entry: an address, a reason, and a firm's list or that of all."""
        statement = select(MailSuppression).where(
            MailSuppression.email == _plain(email),
            MailSuppression.scope == _scope(firm_id),
            MailSuppression.reason == SuppressionReason(reason).value,
        )
        return await self.session.scalar(statement)

    async def find(self, emails: Collection[str], *, firm_id: str | None) -> dict[str, SuppressionReason]:
        """Those of ``emails`` that are on the list, in lower case, with the reason that stops the most.

        Args:
            firm_id: whose mail is to go out. None is not known, and then the list of any firm counts: it is better to
                leave somebody out than to write to one who said no.
        """
        found: dict[str, SuppressionReason] = {}
        asked = sorted({_plain(email) for email in emails})
        for start in range(0, len(asked), _STEP):
            statement = select(MailSuppression.email, MailSuppression.reason).where(
                MailSuppression.email.in_(asked[start : start + _STEP])
            )
            if firm_id is not None:
                statement = statement.where(MailSuppression.scope.in_(("", _scope(firm_id))))
            for email, text in await self.session.execute(statement):
                reason = SuppressionReason(text)
                if email not in found or reason in STOPS_ALL:
                    found[email] = reason
        return found

    async def list(
        self, *, firm_id: str | None, email: str | None = None, limit: int = 50, offset: int = 0
    ) -> Page[MailSuppression]:
        """The list, the newest first.

        Args:
            firm_id: of one firm only; None for all there is.
            email: of one address only.
        """
        statement = select(MailSuppression).where(*_which(email, firm_id))
        ordered = statement.order_by(MailSuppression.created_at.desc(), MailSuppression.id.desc())
        return await self._page(ordered, limit=limit, offset=offset)

    async def remove(self, email: str, *, firm_id: str | None) -> int:
        """Take an address off the list, whatever the reasons; returns how many there were.

        Args:
            firm_id: of one firm only; None for all there is.
        """
        removed = await self.session.execute(
            delete(MailSuppression).where(*_which(email, firm_id)).returning(MailSuppression.id)
        )
        return len(removed.all())


def _plain(email: str) -> str:
    return email.strip().lower()


def _scope(firm_id: str | None) -> str:
    return "" if firm_id is None else check_id(firm_id)


def _which(email: str | None, firm_id: str | None) -> list[ColumnElement[bool]]:
    which = []
    if email is not None:
        which.append(MailSuppression.email == _plain(email))
    if firm_id is not None:
        which.append(MailSuppression.scope == _scope(firm_id))
    return which
