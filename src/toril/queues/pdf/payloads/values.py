"""Single values of reports and tables, of the kind that their column or label says they are."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, TypeAdapter, ValidationError, ValidationInfo

from toril.queues.pdf.fields import decimal, moment
from toril.queues.pdf.words import LongWords, Words

Kind = Literal["text", "amount", "number", "percent", "minutes", "date"]
"""``amount`` is money, ``percent`` 62.5 for 62.5 %, ``minutes`` are shown as hours and minutes."""

Measure = Literal["amount", "number", "percent", "minutes"]
"""The kinds that can be drawn and added up."""

Value = Words | Decimal | datetime | None

_TEXT: TypeAdapter[Words] = TypeAdapter(LongWords)


def read_value(value: Any, kind: Kind) -> Value:
    """``value`` as its kind has it; ``None`` for nothing.

    Raises:
        ValueError: it is not of the kind.
    """
    if value is None:
        return None
    if kind == "date":
        return moment(value)
    if kind != "text":
        return decimal(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal, dict, Words)):
        raise ValueError("expected a text: a string, or {ar, en}")
    try:
        return _TEXT.validate_python(value if isinstance(value, (dict, Words)) else str(value))
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None


def _of_its_kind(value: Any, info: ValidationInfo) -> Value:
    return read_value(value, info.data["kind"]) if "kind" in info.data else None


KindValue = Annotated[Any, AfterValidator(_of_its_kind)]
"""A value in a model that has its ``kind`` in a field before."""

__all__ = ["Kind", "KindValue", "Measure", "Value", "read_value"]
