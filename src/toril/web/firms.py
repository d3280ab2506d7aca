"""Whose records a request is about."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from toril.db.ids import is_id
from toril.web.auth.principal import Principal, Scope
from toril.web.deps import requires
from toril.web.errors import HttpError, NotFound

ReadRecords = Annotated[Principal, Depends(requires(Scope.RECORDS_READ))]
WriteRecords = Annotated[Principal, Depends(requires(Scope.RECORDS_WRITE))]


class NoFirm(HttpError):
    """An administrator of the whole installation did not say which firm is meant."""

    code, status = "firm_needed", 400


def firm_of(user: Principal, asked: str | None) -> str:
    """The firm whose records a user means.

    Raises:
        NotFound: another firm than the user's.
        NoFirm: the user has none, and named none.
    """
    if user.firm_id is not None:
        if asked not in (None, user.firm_id):
            raise NotFound("there is no such firm")
        return user.firm_id
    if not user.is_admin:
        raise NotFound("you belong to no firm")
    if asked is None:
        raise NoFirm("you belong to no firm: say which one is meant, by firmId")
    if not is_id(asked):
        raise NotFound("there is no such firm")
    return asked


FirmAsked = Annotated[
    str | None,
    Query(alias="firmId", max_length=64, description="For administrators without a firm: which is meant."),
]


async def readable_firm(user: ReadRecords, firm_id: FirmAsked = None) -> str:
    """The firm, for a request that reads."""
    return firm_of(user, firm_id)


async def writable_firm(user: WriteRecords, firm_id: FirmAsked = None) -> str:
    """The firm, for a request that changes something or adds a job."""
    return firm_of(user, firm_id)


ReadFirm = Annotated[str, Depends(readable_firm)]
WriteFirm = Annotated[str, Depends(writable_firm)]
