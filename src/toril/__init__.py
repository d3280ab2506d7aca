"""Background jobs on Bull 4's Redis format: fast, durable, shared with Node."""

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
