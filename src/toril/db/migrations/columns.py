"""Column types for migrations. They never change: a migration says for ever what it said when it was written."""

from __future__ import annotations

from decimal import Decimal

import sqlalchemy as sa

ID = sa.String(24)
MOMENT = sa.DateTime(timezone=True)


def exact(scale: int = 2, precision: int = 18) -> sa.Numeric[Decimal]:
    """A number with fixed decimals; on SQLite a whole number of its smallest unit."""
    return sa.Numeric(precision, scale).with_variant(sa.BigInteger(), "sqlite")


def choice(name: str, *values: str) -> sa.Enum:
    """Text that a check constraint ``ck_<table>_<name>`` keeps to ``values``."""
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)
