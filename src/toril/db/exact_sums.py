"""Sums of exact numbers on SQLite, however large.

SQLite's ``sum`` of whole numbers fails above 2^63 units, where PostgreSQL's NUMERIC goes on. So the upper and the lower
digits are summed apart, which no number of rows overflows, and put together once for each group. A sum that is no
number in SQLite is a text, also one far below nothing, and texts sort behind all numbers: order by ``by_size`` of it.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.functions import sum as sum_function

from toril.db.types import Exact

_PARTS: Final = 10**9
_INT64: Final = 2**63
#: Digits of a sum that SQLite has no number for; as a text it sorts behind all numbers, and such texts by their size.
_DIGITS: Final = 60
#: More than any sum, so that none on top of it is below nothing.
_ABOVE: Final = 10**_DIGITS
_TOGETHER: Final = "toril_exact_sum"
_BY_SIZE: Final = "toril_by_size"


class by_size(FunctionElement[Any]):
    """A sum to order by: by its size on each database, however large or far below nothing it is."""

    inherit_cache = True

    def __init__(self, total: ColumnElement[Any]) -> None:
        super().__init__(total)


@compiles(by_size)
def _compile_plain(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(by_size, "sqlite")
def _compile_key(element: Any, compiler: Any, **options: Any) -> str:
    return f"{_BY_SIZE}({compiler.process(element.clauses, **options)})"


@compiles(sum_function, "sqlite")
def _compile(element: Any, compiler: Any, **options: Any) -> str:
    plain: str = compiler.visit_function(element, **options)
    if not isinstance(element.type, Exact):
        return plain
    argument = compiler.process(element.clause_expr, **options)
    return f"{_TOGETHER}(sum({argument} / {_PARTS}), sum({argument} % {_PARTS}))"


def add_exact_sums(connection: Any) -> None:
    """Give a connection of SQLite the functions that the sums are made with, and ordered by."""
    connection.create_function(_TOGETHER, 2, _together)
    connection.create_function(_BY_SIZE, 1, _sort_key)


def _together(upper: int | None, lower: int | None) -> int | str | None:
    if upper is None or lower is None:  # the sum of nothing
        return None
    total = upper * _PARTS + lower
    return total if -_INT64 <= total < _INT64 else f"{total:0{_DIGITS}d}"


def _sort_key(total: int | str | None) -> str | None:
    return None if total is None else f"{int(total) + _ABOVE:0{_DIGITS + 1}d}"
