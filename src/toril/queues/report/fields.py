"""The kinds of values in a report job's payload, and how a mistake in one is told.

Each is an annotated type: what a JavaScript application sends goes in, a clean Python value comes out.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from toril.queues.texts import UNPRINTABLE


def problem(text: str) -> PydanticCustomError:
    """An error of the value that is being checked."""
    # Passed as context: the message is a template, and the text may quote braces from the payload.
    return PydanticCustomError("report", "{text}", {"text": text})


def problems_at(found: list[tuple[str, tuple[str | int, ...]]]) -> ValidationError:
    """Errors of the fields at the given paths, for a check that sees the whole model."""
    return ValidationError.from_exception_data(
        "report", [InitErrorDetails(type=problem(text), loc=path, input=None) for text, path in found]
    )


def storable(text: str) -> str:
    """A text without control characters and halves of a character.

    Raises:
        PydanticCustomError: it has one. PostgreSQL keeps neither; SQLite would compare them with nothing.
    """
    if UNPRINTABLE.search(text):
        raise problem("has a control character")
    return text


def _default(value: Any) -> Any:
    return [] if value is None else value


#: Such as ``507f1f77bcf86cd799439011``.
RecordId = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{24}$", to_lower=True)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_upper=True)]
#: Name of a source's column, or one that a query gives to a result.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
#: Before a list: null is an empty one.
NONE_IS_EMPTY = BeforeValidator(_default)
