"""The names of a queue's keys and channels: Bull 4's, and ours under ``<base>:toril:*``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from toril.errors import OptionError

#: Suffixes of the keys every script is given, in this order (see ``scripts/lua/includes/keys.lua``).
SCRIPT_KEYS = (
    "id",
    "wait",
    "paused",
    "meta-paused",
    "meta",
    "active",
    "delayed",
    "priority",
    "completed",
    "failed",
    "stalled",
    "stalled-check",
    "repeat",
    "limiter",
    "limiter:index",
    "metrics:completed",
    "metrics:failed",
    "toril:overflow",
    "toril:edge",
    "toril:workers",
    "toril:producers",
    "toril:cancelled",
    "toril:schedules",
    "toril:numeric",
)

#: Job ids that would be the key of something else.
RESERVED_IDS = frozenset({key.split(":", 1)[0] for key in SCRIPT_KEYS} | {"de", "waiting", "toril", "repeat"})

_GLOB = frozenset("*?[]\\")
_NOT_IN_IDS = re.compile("[\x00-\x1f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """All keys and channels of one queue.

    Args:
        name: the queue's name; braces in it (or in ``prefix``) keep its keys in one cluster slot.
        prefix: what the keys start with, ``bull`` as in Bull.

    Raises:
        OptionError: the name or prefix would break keys or subscriptions.
    """

    name: str
    prefix: str = "bull"
    base: str = field(init=False)  #: ``prefix:name``
    script_keys: tuple[bytes, ...] = field(init=False, repr=False)  #: KEYS of every script

    def __post_init__(self) -> None:
        for what, text in (("queue name", self.name), ("prefix", self.prefix)):
            if not isinstance(text, str) or not text:
                raise OptionError(f"{what} must be a text of at least one character, got {text!r}")
            if "@" in text:
                raise OptionError(
                    f"{what} {text!r} has an '@', which ends a channel's name in Bull; leave it out"
                )
            bad = sorted(_GLOB.intersection(text)) + [c for c in text if ord(c) < 32]
            if bad:
                raise OptionError(f"{what} {text!r} has {bad[0]!r}, which Bull's subscriptions cannot match")
            if len(text.encode()) > 512:
                raise OptionError(f"{what} is longer than 512 bytes")
        base = f"{self.prefix}:{self.name}"
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "script_keys", tuple(f"{base}:{key}".encode() for key in SCRIPT_KEYS))

    def of(self, suffix: str) -> str:
        """The key or channel ``<base>:<suffix>``."""
        return f"{self.base}:{suffix}"

    def job(self, job_id: str) -> str:
        """Hash of one job."""
        return f"{self.base}:{job_id}"

    def lock(self, job_id: str) -> str:
        """String: token of the worker that holds the job, with an expiry."""
        return f"{self.base}:{job_id}:lock"

    def logs(self, job_id: str) -> str:
        """List: the job's log rows, oldest first."""
        return f"{self.base}:{job_id}:logs"


def check_job_id(job_id: str) -> str:
    """Return a custom job id as it is stored.

    Raises:
        OptionError: it is not a text, is reserved, or would collide with another key.
    """
    if not isinstance(job_id, str):
        raise OptionError(f"job_id must be a text, got {type(job_id).__name__} {job_id!r}")
    if not job_id:
        raise OptionError("job_id must not be empty; leave it out to have one made")
    if len(job_id) > 512:
        raise OptionError(f"job_id is {len(job_id)} characters long; 512 is the most")
    if _NOT_IN_IDS.search(job_id):
        raise OptionError(f"job_id {job_id!r} has a control character or half a surrogate pair")
    if job_id.split(":", 1)[0] in RESERVED_IDS and not job_id.startswith("repeat:"):
        raise OptionError(f"job_id {job_id!r} is reserved: a key of the queue has this name; choose another")
    if job_id.endswith((":lock", ":logs")):
        raise OptionError(f"job_id {job_id!r} ends like the key of a lock or a log; choose another")
    return job_id
