"""Column types that keep a value exactly, the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from operator import floordiv, mod, mul, truediv
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Dialect, Numeric, String
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

from toril.db.errors import RecordValueError
from toril.db.ids import check_id

MONEY_SCALE: Final = 3  #: decimals of money, whatever its currency

_INT64: Final = 2**63

#: Arithmetic that raises where it would round.
_EXACTLY: Final = Context(prec=60, traps=[Inexact, InvalidOperation])


class ColumnValueError(RecordValueError, DontWrapMixin):
    """A ``RecordValueError`` that SQLAlchemy passes on as it is."""


class Id(TypeDecorator[str]):
    """A record's id; see ``toril.db.ids``."""

    impl = String(24)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        try:
            return check_id(value)
        except RecordValueError as error:
            raise ColumnValueError(str(error)) from None


class Moment(TypeDecorator[datetime]):
    """A point in time: aware, in UTC, to the microsecond. A time without zone is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if not isinstance(value, datetime) or value.utcoffset() is None:
            raise ColumnValueError(
                f"{value!r} is not a point in time: give a datetime with its zone, such as datetime.now(UTC)"
            )
        moment = value.astimezone(UTC)
        # SQLite keeps text; without an offset it is always UTC, and sorts.
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _SumsOnly(TypeDecorator.Comparator[Decimal]):
    """What SQL may do with ``Exact`` columns."""

    def operate(self, op: OperatorType, *other: Any, **kwargs: Any) -> Any:
        if op in (mul, truediv, floordiv, mod):
            raise ColumnValueError(
                "exact numbers are not multiplied or divided in SQL, as their unit differs between databases: "
                "do it in Python, or store the product"
            )
        return super().operate(op, *other, **kwargs)

    reverse_operate = operate


class Exact(TypeDecorator[Decimal]):
    """A decimal number with a fixed number of decimals, such as money.

    PostgreSQL keeps ``NUMERIC``. SQLite has no decimals, so it keeps the integer of the smallest unit (halalas for
    two decimals): sums, comparisons and order computed by the database are exact on both. Products and quotients
    would not be, as the units multiply; they are refused in SQL, and belong in Python or in a column of their own.

    Args:
        scale: decimals; a value with more is refused, never rounded. Money has three, as dinars and Omani riyals do;
            of most currencies the third is nothing, and is left out of what is read.
        precision: digits in all.
    """

    impl = Numeric
    cache_ok = True
    comparator_factory = _SumsOnly

    def __init__(self, scale: int = MONEY_SCALE, precision: int = 18) -> None:
        self.scale, self.precision = scale, precision
        super().__init__(precision, scale)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(
            BigInteger() if dialect.name == "sqlite" else Numeric(self.precision, self.scale)
        )

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        units = self._units(value)
        return units if dialect.name == "sqlite" else Decimal(units).scaleb(-self.scale)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        found = _EXACTLY.scaleb(Decimal(value), -self.scale) if dialect.name == "sqlite" else Decimal(value)
        return _short(found) if self.scale == MONEY_SCALE else found

    def _units(self, value: object) -> int:
        """``value`` as a whole number of the smallest unit."""
        if isinstance(value, bool) or not isinstance(value, Decimal | int):
            raise ColumnValueError(f"{value!r} is not exact: give a Decimal or a whole number, never a float")
        if not Decimal(value).is_finite():
            raise ColumnValueError(f"{value} is no number that can be kept")
        try:
            units = _EXACTLY.to_integral_exact(_EXACTLY.scaleb(Decimal(value), self.scale))
        except DecimalException:
            raise ColumnValueError(f"{value} has more than {self.scale} decimals: round it first") from None
        if abs(units) >= min(10**self.precision, _INT64):
            raise ColumnValueError(f"{value} is too large: it may have {self.precision} digits in all")
        return int(units)


def _short(amount: Decimal) -> Decimal:
    """``115.000`` as ``115.00``; ``1.234`` as it is."""
    sign, digits, exponent = amount.as_tuple()
    if exponent == -MONEY_SCALE and digits[-1] == 0:
        return Decimal((sign, digits[:-1] or (0,), exponent + 1))
    return amount


def utc_now() -> datetime:
    """The present, aware and in UTC."""
    return datetime.now(UTC)
