"""Text of a document that may come in two languages, and is shown as the page's language asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from toril.queues.base import Payload
from toril.queues.pdf.fields import CLEAN

_Text = Annotated[str, StringConstraints(max_length=20_000), CLEAN]


class Words(Payload):
    """One text in Arabic, in English, or in both.

    A job may send a plain string in its place, which is then shown on pages of either language.
    """

    ar: _Text = ""
    en: _Text = ""

    def __bool__(self) -> bool:
        return bool(self.ar or self.en)

    def in_one(self, language: str) -> str:
        """The text in a language, or the one there is."""
        return (self.en or self.ar) if language == "en" else (self.ar or self.en)


def _from_string(value: Any) -> Any:
    if value is None:
        return {}
    return {"ar": value} if isinstance(value, str) else value


def _at_most(length: int) -> Callable[[Words], Words]:
    def check(value: Words) -> Words:
        if max(len(value.ar), len(value.en)) > length:
            raise ValueError(f"has more than {length} characters")
        return value

    return check


def _given(value: Words) -> Words:
    if not value:
        raise ValueError("a text is needed: a string, or {ar, en} with one or both")
    return value


_FROM_STRING = BeforeValidator(_from_string)
NONE = Field(default_factory=Words)  #: the default of words that may be missing

ShortWords = Annotated[Words, _FROM_STRING, AfterValidator(_at_most(120))]
LineWords = Annotated[Words, _FROM_STRING, AfterValidator(_at_most(300))]
LongWords = Annotated[Words, _FROM_STRING, AfterValidator(_at_most(5000))]
ClauseWords = Annotated[Words, _FROM_STRING, AfterValidator(_at_most(20_000))]
Heading = Annotated[Words, _FROM_STRING, AfterValidator(_at_most(200)), AfterValidator(_given)]
