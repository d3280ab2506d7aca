"""Where a queue's dead letters go: the keys of another queue, as scripts are given them."""

from __future__ import annotations

from toril.engine.keys import QueueKeys
from toril.engine.scripts.runner import ScriptRunner
from toril.errors import OptionError, QueueStateError

#: Suffixes of its keys; the first four are what ``lua/includes/dead_letter.lua`` wants, all of them are for
#: ``lua/retry_letter.lua``.
_LETTER_KEYS = ("id", "wait", "paused", "meta-paused", "delayed", "completed", "failed")


class LetterBox:
    """The queue that takes the dead letters of another.

    Args:
        name: of the queue for dead letters; it has the prefix of ``origin``.
        origin: keys of the queue whose jobs fail.

    Raises:
        OptionError: a bad name, or the queue's own.
    """

    def __init__(self, name: str, origin: QueueKeys) -> None:
        if name == origin.name:
            raise OptionError(f"dead_letter={name!r} is the queue itself; name another one")
        self.keys, self.origin = QueueKeys(name, origin.prefix), origin
        self.all_keys = tuple(self.keys.of(suffix).encode() for suffix in _LETTER_KEYS)
        self.keys_to_add = self.all_keys[:4]

    def require_one_slot(self) -> None:
        """See to it that a cluster keeps both queues in one place, so that one script can change both.

        Raises:
            OptionError: it does not.
        """
        ours, theirs = hash_tag(self.origin.base), hash_tag(self.keys.base)
        if ours is None or ours != theirs:
            raise OptionError(
                f"queue {self.origin.name!r}: its dead letters go to {self.keys.name!r}, which this cluster keeps in "
                "another slot; both must have the same text in braces. Use a prefix in braces such as '{bull}' for "
                "all queues, or names such as '{email}' and '{email}:dead-letter'"
            )

    async def require_queue(self, scripts: ScriptRunner) -> None:
        """See to it that nothing else is kept under the name.

        Raises:
            QueueStateError: a key of another type is there.
        """
        theirs = ScriptRunner(scripts.connection, self.keys, scripts.token, patience=scripts.patience)
        await theirs.run("count_jobs")

    def not_written(self, job_id: str) -> QueueStateError:
        """The error to announce when a job failed and could not be copied."""
        return QueueStateError(
            f"job {job_id} of queue {self.origin.name!r} failed, but is no dead letter: a key under {self.keys.base}: "
            "holds another type than a queue's; another program wrote there. Delete it, or give the queue another "
            "dead_letter"
        )


def hash_tag(key: str) -> str | None:
    """The part of a key that decides its slot: what is between the first ``{`` and the next ``}``, if anything."""
    _, brace, rest = key.partition("{")
    tag, end, _ = rest.partition("}")
    return tag if brace and end and tag else None
