"""What all tables share: names of constraints, column types by annotation, ids, the firm, and time stamps."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum as PythonEnum
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import JSON, Date, Enum, ForeignKey, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from toril.db.ids import new_id
from toril.db.types import Exact, Id, Moment, utc_now

#: Every constraint has a name, so that a migration can find it.
_NAMES: Final = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
}


def _values(choices: type[PythonEnum]) -> list[str]:
    return [choice.value for choice in choices]


class Base(DeclarativeBase):
    """Base of all records.

    JSON is kept as text as it came, not as PostgreSQL's JSONB, which refuses some of what vendors send.
    """

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text(),
        date: Date(),
        datetime: Moment(),
        Decimal: Exact(),
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        # Text with a check constraint: a new choice needs no new type in the database.
        StrEnum: Enum(
            PythonEnum,
            native_enum=False,
            create_constraint=True,
            validate_strings=True,
            length=32,
            values_callable=_values,
        ),
    }


class Identified:
    """A record with an id of its own, made when it is stored without one."""

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id, sort_order=-20)


class OfFirm:
    """A record of one firm; it goes when the firm goes."""

    firm_id: Mapped[str] = mapped_column(Id, ForeignKey("firms.id", ondelete="CASCADE"), sort_order=-10)


class Stamped:
    """When a record was made, and last changed."""

    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now, sort_order=91)
