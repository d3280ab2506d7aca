"""Sums of exact numbers on SQLite, however large.

SQLite's ``sum`` of whole numbers fails above 2^63 units, where PostgreSQL's NUMERIC goes on. So the upper and the lower
digits are summed apart, which no number of rows overflows, and put together once for each group.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import sum as sum_function

from toril.db.types import Exact

_PARTS: Final = 10**9
_INT64: Final = 2**63
#: Digits of a sum that SQLite has no number for; as a text it sorts behind all numbers, and such texts by their size.
_DIGITS: Final = 60
_TOGETHER: Final = "toril_exact_sum"


@compiles(sum_function, "sqlite")
def _compile(element: Any, compiler: Any, **options: Any) -> str:
    plain: str = compiler.visit_function(element, **options)
    if not isinstance(element.type, Exact):
        return plain
    argument = compiler.process(element.clause_expr, **options)
    return f"{_TOGETHER}(sum({argument} / {_PARTS}), sum({argument} % {_PARTS}))"


def add_exact_sums(connection: Any) -> None:
    """Give a connection of SQLite the function that the sums are made with."""
    connection.create_function(_TOGETHER, 2, _together)


def _together(upper: int | None, lower: int | None) -> int | str | None:
    if upper is None or lower is None:  # the sum of nothing
        return None
    total = upper * _PARTS + lower
    return total if -_INT64 <= total < _INT64 else f"{total:0{_DIGITS}d}"
