"""Placeholders in bulk mail: ``{{name}}`` and nothing else.

The text comes from whoever writes the mail, and is not run: there is no logic, no attribute, no call. Anything in
braces that is not a plain name stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

from toril.errors import OptionError
from toril.queues.email.addresses import header_text_problem

_PLACEHOLDER = re.compile(r"\{\{[ \t]*([^\W\d]\w{0,63})[ \t]*\}\}")
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def placeholders(template: str) -> list[str]:
    """Names in ``template``, each once, in order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(template)))


def fill_text(template: str, values: Mapping[str, str]) -> str:
    """``template`` with every placeholder replaced.

    A value is never looked at for placeholders itself.

    Raises:
        OptionError: a name has no value.
    """
    return _PLACEHOLDER.sub(lambda found: _value(found[1], values), template)


def fill_html(template: str, values: Mapping[str, str]) -> str:
    """The same for HTML: values are escaped, also for use inside an attribute's quotes.

    Raises:
        OptionError: a name has no value.
    """
    return _PLACEHOLDER.sub(lambda found: escape(_value(found[1], values), quote=True), template)


def fill_subject(template: str, values: Mapping[str, str], *, limit: int) -> str:
    """The same for a subject: line breaks and control characters in values become spaces.

    Raises:
        OptionError: a name has no value, or the outcome cannot stand in a header or is longer than ``limit``.
    """
    subject = _BREAKS.sub(" ", fill_text(template, values)).strip()
    if not subject:
        raise OptionError("the subject is empty")
    if len(subject) > limit:
        raise OptionError(f"the subject has {len(subject)} characters; the limit is {limit}")
    if problem := header_text_problem(subject):
        raise OptionError(f"the subject {problem}")
    return subject


def _value(name: str, values: Mapping[str, str]) -> str:
    try:
        return values[name]
    except KeyError:
        raise OptionError(f"there is no value for {{{{{name}}}}}") from None
