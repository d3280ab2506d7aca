"""Background jobs on Bull 4's Redis format: fast, durable, shared with Node."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toril.engine.backoff import Backoff
    from toril.engine.current import current_job
    from toril.engine.job import Job
    from toril.engine.options import Debounce, JobOptions, Keep
    from toril.engine.queue import Queue
    from toril.engine.repeat import Repeat
    from toril.engine.worker import Worker
    from toril.errors import (
        JobFailedError,
        JobLockLost,
        JobNotFoundError,
        OptionError,
        PostponedError,
        QueueUnavailableError,
        RetryableError,
        TorilError,
        UnrecoverableError,
    )

__version__ = "0.1.0"

__all__ = [
    "Backoff",
    "Debounce",
    "Job",
    "JobFailedError",
    "JobLockLost",
    "JobNotFoundError",
    "JobOptions",
    "Keep",
    "OptionError",
    "PostponedError",
    "Queue",
    "QueueUnavailableError",
    "Repeat",
    "RetryableError",
    "TorilError",
    "UnrecoverableError",
    "Worker",
    "__version__",
    "current_job",
]

#: Module of each name that is not an error. Loaded when first used, so that a program that only needs an error,
#: or the command line that prints its help, does not wait for the engine.
_MODULES = {
    "Backoff": "backoff",
    "Debounce": "options",
    "Job": "job",
    "JobOptions": "options",
    "Keep": "options",
    "Queue": "queue",
    "Repeat": "repeat",
    "Worker": "worker",
    "current_job": "current",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'toril' has no attribute {name!r}")
    module = import_module(f"toril.engine.{_MODULES[name]}" if name in _MODULES else "toril.errors")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return __all__
