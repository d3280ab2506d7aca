"""Where a job can be, and Bull's words for it."""

from __future__ import annotations

from typing import Final

from toril.errors import OptionError

WAITING: Final = "waiting"
ACTIVE: Final = "active"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
DELAYED: Final = "delayed"
PAUSED: Final = "paused"
#: In no list: removed, or on its way between two places for another client's sake.
STUCK: Final = "stuck"

#: Order of Bull's getters when no state is named.
ALL: Final = (WAITING, ACTIVE, COMPLETED, FAILED, DELAYED, PAUSED)


def check_state(name: str) -> str:
    """A state's name; ``wait`` is read as ``waiting``.

    Raises:
        OptionError: there is no such state.
    """
    state = WAITING if name == "wait" else name
    if state not in ALL:
        raise OptionError(f"there is no job state {name!r}; the states are {', '.join(ALL)}")
    return state
