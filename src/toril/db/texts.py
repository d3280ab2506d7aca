"""Texts that no database keeps: refused before they are sent, the same on SQLite and on PostgreSQL.

PostgreSQL has no character 0. SQLite keeps it, and compares and measures such a text as if it ended there. Halves of
characters (surrogates) have no UTF-8: each driver fails at them in its own way.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import Engine, event

from toril.db.types import ColumnValueError

_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def refuse_unstorable(engine: Engine) -> None:
    """Let statements of this engine raise ``RecordValueError`` for a text that cannot be kept."""

    @event.listens_for(engine, "before_cursor_execute")
    def check(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        for row in parameters if isinstance(parameters, list) else (parameters,):
            for value in row.values() if isinstance(row, dict) else row or ():
                if isinstance(value, str) and not is_storable(value):
                    raise ColumnValueError(
                        "the database cannot keep a text with the character 0 or half of a character: take it out "
                        f"of the text of {len(value)} characters"
                    )


def is_storable(text: str) -> bool:
    """Whether a text has neither the character 0 nor halves of characters."""
    if text.isascii():  # most are, and this is many times as fast
        return "\0" not in text
    return _UNSTORABLE.search(text) is None
