"""What is wrong with a payload, in few words, however much is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

#: Problems that are listed; whoever sent a hundred thousand wants the first few.
MOST_PROBLEMS: Final = 20

#: Characters of a field's path and of a message: both may quote what was sent.
_LONGEST_PATH: Final = 200
_LONGEST_MESSAGE: Final = 500

#: Characters of a name that are compared with others.
_LONGEST_NAME: Final = 60

#: How alike names must be; by less, "fromDate" would be "format".
_NEAR: Final = 0.8

#: Unknown fields that are named one by one.
_MOST_UNKNOWN: Final = 20

Problem = tuple[str, str]


def list_problems(error: ValidationError, known: Iterable[str] = ()) -> list[Problem]:
    """The first problems of a validation: the path of each field, and what is wrong with it. Values are not told.

    Args:
        known: the names of the outermost fields, for the one that an unknown field was perhaps meant to be.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    names, problems = list(known), shortened(found)
    for place, each in enumerate(found[:MOST_PROBLEMS]):
        if names and each["type"] == "extra_forbidden" and len(each["loc"]) == 1:
            path, text = problems[place]
            problems[place] = (path, text + did_you_mean(path, names))
    return problems


def problem(field: str, message: str) -> Problem:
    """One problem, not longer than others."""
    return cut(field, _LONGEST_PATH), cut(message, _LONGEST_MESSAGE)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'subject'?``, or nothing if no known name is near."""
    near = get_close_matches(cut(name, _LONGEST_NAME), list(known), n=1, cutoff=_NEAR)
    return f"; did you mean {near[0]!r}?" if near else ""


def shortened(found: Sequence[Any]) -> list[Problem]:
    """The first of pydantic's errors, as dicts with ``loc`` and ``msg``; paths and messages cut to a length."""
    return [(path_of(each["loc"]), cut(str(each["msg"]), _LONGEST_MESSAGE)) for each in found[:MOST_PROBLEMS]]


def path_of(parts: Sequence[Any]) -> str:
    """A field's path with dots, not longer than a line or two."""
    return cut(".".join(cut(str(part), _LONGEST_PATH) for part in parts), _LONGEST_PATH)


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def refuse_crowds(model: type[BaseModel], given: Any) -> Any:
    """What is given, unless it has many more fields than its model knows.

    Naming each of a hundred thousand unknown fields takes seconds, so their number is looked at first.
    """
    if isinstance(given, dict) and len(given) > 3 * len(model.model_fields) + _MOST_UNKNOWN:
        raise PydanticCustomError(
            "too_many_fields",
            "has {count} fields, of which at most {known} are known",
            {"count": len(given), "known": len(model.model_fields)},
        )
    return given
