"""An error on its way out of a child process: JSON, and beside it a copy for who has its class."""

from __future__ import annotations

import base64
import io
import json
import pickle
import sys
from typing import Any

from toril.engine.outcome import reason_of, trace_of
from toril.errors import (
    ConfigurationError,
    PostponedError,
    RetryableError,
    TorilError,
    UnrecoverableError,
)

#: Bytes of a copy; an error may hold on to anything.
_COPY_LIMIT = 64 * 1024

_FINAL: dict[str, type[TorilError]] = {
    "unrecoverable": UnrecoverableError,
    "configuration": ConfigurationError,
}


class ChildStackTrace(Exception):
    """The stack trace of an error in the process where it was raised; the error's cause in this one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


def pack(error: BaseException) -> bytes:
    """Describe an error; never raises."""
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "reason": reason_of(error),
        "trace": trace_of(error),
        "copy": _copy_of(error),
    }
    try:
        if isinstance(error, UnrecoverableError):
            described["verdict"] = "unrecoverable"
        elif isinstance(error, ConfigurationError):
            described["verdict"] = "configuration"
        elif isinstance(error, PostponedError):
            described["postponed"] = {"retry_after": float(error.retry_after or 0), "at_most": error.at_most}
        elif isinstance(error, RetryableError) and error.retry_after is not None:
            described["retry_after"] = float(error.retry_after)
    except Exception:
        described.pop("verdict", None)  # an odd error's own attributes fail; its reason is enough
    return json.dumps(described).encode()


def unpack(text: bytes) -> Exception:
    """The error again, of its own class if this process has it, so that backoff strategies can tell it."""
    described = json.loads(text)
    error = _read_copy(described["copy"])
    if error is None:
        verdict, reason = described.get("verdict"), described["reason"]
        if verdict in _FINAL:
            error = _FINAL[verdict](reason)
        elif "postponed" in described:
            error = PostponedError(reason, **described["postponed"])
        elif "retry_after" in described:
            error = RetryableError(reason, retry_after=described["retry_after"])
        else:
            error = RuntimeError(reason if described["type"] in reason else f"{described['type']}: {reason}")
    try:
        error.__cause__ = ChildStackTrace(described["trace"])
    except Exception:
        return RuntimeError(described["reason"])  # an error may forbid it
    return error


def _copy_of(error: BaseException) -> str | None:
    if not isinstance(error, Exception):
        return None  # nobody is to raise a KeyboardInterrupt in the worker
    try:
        copy = pickle.dumps(error)
        if len(copy) > _COPY_LIMIT or type(pickle.loads(copy)) is not type(error):  # noqa: S301 - our own
            return None
        return base64.b64encode(copy).decode()
    except BaseException:
        return None


class _KnownClasses(pickle.Unpickler):
    """Finds classes only where the worker has them already: reading an error imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        if module not in sys.modules:
            raise pickle.UnpicklingError(f"{module} is not loaded here")
        return super().find_class(module, name)


def _read_copy(copy: str | None) -> Exception | None:
    if copy is None:
        return None
    try:
        error = _KnownClasses(io.BytesIO(base64.b64decode(copy))).load()
    except BaseException:
        return None  # what could be read where it was raised need not be readable here
    return error if isinstance(error, Exception) and not isinstance(error, StopIteration) else None
