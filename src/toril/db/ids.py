"""Ids of records: 24 hex digits, made as MongoDB's drivers make an ObjectId.

Four bytes seconds since 1970, five random bytes of this process, three bytes counter; so ids are unique without
asking anybody, and sort by the second they were made in. Source: MongoDB's BSON specification, ObjectId.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import time

from toril.db.errors import RecordValueError

_ID = re.compile(r"[0-9a-f]{24}")


class _Maker:
    """The parts of ids that are this process's own."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.process = secrets.token_hex(5)
        self.counter = itertools.count(secrets.randbelow(1 << 24))

    def make(self) -> str:
        return f"{int(time.time()):08x}{self.process}{next(self.counter) & 0xFFFFFF:06x}"


_maker = _Maker()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_maker.renew)


def new_id() -> str:
    """A fresh id."""
    return _maker.make()


def is_id(text: object) -> bool:
    """Whether ``text`` is an id: 24 hex digits in lower case."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def check_id(text: object) -> str:
    """``text`` as an id, in lower case.

    Raises:
        RecordValueError: it is none.
    """
    lowered = text.lower() if isinstance(text, str) else text
    if not is_id(lowered):
        raise RecordValueError(f"{text!r} is not a record's id: it must have 24 hex digits")
    return str(lowered)
