"""Every error Toril raises.

    TorilError
    ├── OptionError               a bad option, name, id or argument; raised by the call that gave it
    │   ├── DataError             a job's data or result is not JSON, or is too large
    │   ├── PayloadError          a job's data does not fit what its processor takes
    │   └── CursorError           a cursor is of no search, or of another
    ├── ConfigurationError        settings, credentials or a missing extra
    │   └── ServerNotFoundError   no server configured and none to start
    ├── QueueUnavailableError     the server cannot be reached, or refuses us
    │   ├── ServerVersionError    the server is too old
    │   └── ServerRefusedError    the server refuses the password, the user or the database
    ├── JobError                  something about one job
    │   ├── JobNotFoundError      no such job
    │   ├── JobStateError         the job is not in the state the call needs
    │   ├── JobLockedError        a worker holds the job
    │   ├── JobLockLost           this worker no longer holds the job
    │   ├── JobFailedError        raised by ``Job.result()``: the job failed
    │   └── JobTimeoutError       the job ran longer than its timeout
    ├── QueueStateError           the queue is not in the state the call needs
    └── raised by processors
        ├── UnrecoverableError    fail now, no more attempts
        │   ├── NotConfiguredError    a credential or setting of an outside service is missing or refused
        │   └── UnknownOutcomeError   handed over, but no answer came: running again might do it twice
        └── RetryableError        try again, not before ``retry_after`` seconds
            └── PostponedError        not now: run it in ``retry_after`` seconds, and count no attempt

Each has a stable ``code`` for logs, HTTP bodies and exit statuses.
"""

from __future__ import annotations

import copy


def apart(error: Exception) -> Exception:
    """A copy to raise, with the error as its cause.

    Several callers that wait for one thing must not share an exception: each raise adds to its traceback, and one
    caller's ``raise … from`` or note would be read by the others.
    """
    try:
        twin = copy.copy(error)
    except Exception:  # made in a way that cannot be repeated: better shared than hidden
        return error
    twin.__cause__ = error
    return twin


class TorilError(Exception):
    """Base of all errors of Toril."""

    code = "error"


class OptionError(TorilError, ValueError):
    """An option, name, id or argument is not acceptable; nothing was done."""

    code = "bad_option"


class DataError(OptionError):
    """A job's data, result or progress cannot be written as JSON, or is larger than the queue allows."""

    code = "bad_data"


class PayloadError(OptionError):
    """A job's data does not fit what its processor takes; ``field`` is the path of the bad field."""

    code = "bad_payload"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        self.field = field
        super().__init__(message)


class CursorError(OptionError):
    """A cursor that no search has given, or that is of another search: begin again without one."""

    code = "bad_cursor"


class ConfigurationError(TorilError):
    """A setting, a credential or an optional package is missing or wrong."""

    code = "configuration"


class ServerNotFoundError(ConfigurationError):
    """No server is configured, and none could be found to start."""

    code = "server_not_found"


class QueueUnavailableError(TorilError, ConnectionError):
    """The server could not be reached in time, or refused the connection."""

    code = "queue_unavailable"


class ServerVersionError(QueueUnavailableError):
    """The server is older than Toril's scripts need."""

    code = "server_version"


class ServerRefusedError(QueueUnavailableError):
    """The server answers but does not let us in: password, user or database number."""

    code = "server_refused"


class JobError(TorilError):
    """Something about one job; ``job_id`` says which."""

    code = "job_error"

    def __init__(self, job_id: str, message: str) -> None:
        self.job_id = job_id
        super().__init__(message)


class JobNotFoundError(JobError):
    """There is no job with this id: never added, removed, or trimmed by a keep policy."""

    code = "job_not_found"


class JobStateError(JobError):
    """The job is not in the state this call needs."""

    code = "job_state"


class JobLockedError(JobError):
    """A worker holds the job, so it cannot be changed now."""

    code = "job_locked"


class JobLockLost(JobError):
    """The job's lock expired or belongs to another worker; the result was not stored."""

    code = "job_lock_lost"


class JobFailedError(JobError):
    """The awaited job failed; ``reason`` is its ``failed_reason``."""

    code = "job_failed"

    def __init__(self, job_id: str, reason: str) -> None:
        self.reason = reason
        super().__init__(job_id, reason)


class JobTimeoutError(JobError):
    """The job ran longer than its ``timeout`` option and was stopped."""

    code = "job_timeout"


class QueueStateError(TorilError):
    """The queue is not in the state this call needs (for example not paused)."""

    code = "queue_state"


class UnrecoverableError(TorilError):
    """Raised by a processor: the job fails now, whatever attempts are left."""

    code = "unrecoverable"


class NotConfiguredError(UnrecoverableError, ConfigurationError):
    """Raised by a processor: an outside service refused our credentials or settings; retrying cannot help.

    A ``ConfigurationError`` too, so that alerts can tell "somebody must fix our account" from a bad job.
    """

    code = "not_configured"


class UnknownOutcomeError(UnrecoverableError):
    """Raised by a processor: the work was handed to an outside service, and no answer came back.

    It may have been done. The job fails at once, because running it again could do it twice; a person looks.
    """

    code = "unknown_outcome"


class RetryableError(TorilError):
    """Raised by a processor: try again with the job's backoff, but not before ``retry_after`` seconds."""

    code = "retryable"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class PostponedError(RetryableError):
    """Raised by a processor: not now. The job runs again in ``retry_after`` seconds, and no attempt is counted.

    For an outside service that says "later": the work has not failed. Whatever was begun must be safe to begin again.

    Args:
        retry_after: seconds until the job runs again.
        at_most: seconds from a job's first postponement after which the next one fails it, with a reason that says so.
    """

    code = "postponed"

    def __init__(self, message: str, *, retry_after: float = 60.0, at_most: float = 86_400.0) -> None:
        super().__init__(message, retry_after=retry_after)
        self.at_most = at_most
