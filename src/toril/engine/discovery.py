"""Finds queues by their keys: which there are under a prefix, whoever made them."""

from __future__ import annotations

from collections.abc import Callable

from toril.engine.codec import to_text
from toril.engine.connection import Connection
from toril.engine.keys import RESERVED_IDS

#: Keys the server looks at in one step, which holds it up for less than a millisecond.
_STEP = 1000

#: By which keys a queue shows, with their type; a job whose own id ends like this is a hash.
_SIGNS = {"id": "string", "meta-paused": "string", "toril:workers": "zset"}


async def find_queues(
    connection: Connection, prefix: str, *, seen: Callable[[int], None] = lambda _: None
) -> list[str]:
    """Names of all queues under a prefix, by a walk over the database in short steps.

    Args:
        seen: called after each step with the number of keys the server looked at.
    """
    names: set[str] = set()
    for suffix, kind in _SIGNS.items():
        cursor = b"0"
        while True:
            cursor, keys = await connection.execute(
                "SCAN", cursor, "MATCH", f"{prefix}:*:{suffix}", "COUNT", _STEP, "TYPE", kind, repeat=True
            )
            names.update(to_text(key)[len(prefix) + 1 : -len(suffix) - 1] for key in keys)
            seen(_STEP)
            if cursor == b"0":
                break
    return sorted(name for name in names if not _is_inside(name, names))


def _is_inside(name: str, names: set[str]) -> bool:
    """Whether a key inside of another queue, such as a debounce marker for something called "id", looks so."""
    outer, _, last = name.rpartition(":")
    return outer in names and last in RESERVED_IDS
