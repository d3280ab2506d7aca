"""How commands end: the exit codes, and which error leads to which."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import IntEnum

from typer import Abort

from toril.errors import (
    ConfigurationError,
    JobNotFoundError,
    OptionError,
    QueueUnavailableError,
    ServerNotFoundError,
    TorilError,
)


class ExitCode(IntEnum):
    """What a command's exit status says."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    INTERRUPTED = 130


MEANING = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "something failed",
    ExitCode.USAGE: "wrong usage or settings",
    ExitCode.UNREACHABLE: "server unreachable",
    ExitCode.NOT_FOUND: "no such job, queue or user",
    ExitCode.INTERRUPTED: "interrupted",
}


class CommandError(TorilError):
    """A command cannot do what it was asked to; carries how it ends.

    Args:
        hint: what to do, as a sentence.
    """

    def __init__(self, message: str, *, exit: ExitCode, code: str, hint: str = "") -> None:
        self.exit, self.code, self.hint = exit, code, hint
        super().__init__(message)


#: For errors of the engine, which does not know that a command asks.
_HINTS = {
    "QueueUnavailableError": "is the server running, and is its address (--url, REDIS_URL) right?",
    "ConnectionLostError": "what was asked may or may not have been done",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """What to tell, and with which status to leave."""

    exit: ExitCode
    code: str
    message: str
    hint: str = ""
    field: str = ""  #: of a job's data that is not acceptable


def ending_of(error: BaseException) -> Ending:
    """How a command ends that raised ``error``."""
    if isinstance(error, CommandError):
        return Ending(error.exit, error.code, str(error), error.hint)
    if isinstance(error, TorilError):
        hint, field = _HINTS.get(type(error).__name__, ""), getattr(error, "field", None) or ""
        return Ending(_exit_of(error), error.code, str(error), hint, field)
    if isinstance(error, KeyboardInterrupt | Abort):
        return Ending(ExitCode.INTERRUPTED, "interrupted", "interrupted")
    # The command line parser's errors; their class is not the same in all versions of the parser.
    if callable(tell := getattr(error, "format_message", None)):
        return Ending(ExitCode.USAGE, "usage", str(tell()).strip().rstrip("."), _see_help(error))
    # A command that needs an extra which is not installed; of toril itself no module is missing.
    if isinstance(error, ModuleNotFoundError) and (package := _outermost(error)) not in ("", "toril"):
        return Ending(
            ExitCode.USAGE,
            ConfigurationError.code,
            f"this command needs the package {package!r}, which is not installed",
            "pip install 'toril[all]' brings all that any command needs",
        )
    if isinstance(error, FileNotFoundError) and not _is_anywhere():
        return Ending(
            ExitCode.USAGE,
            ConfigurationError.code,
            "the working directory was deleted",
            "go to another one; a worker and its files need one that stays",
        )
    return Ending(
        ExitCode.FAILED,
        "internal_error",
        f"{type(error).__name__}: {error}",
        "this is a fault of toril; the same command with TORIL_LOG_LEVEL=debug shows where",
    )


def _is_anywhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _exit_of(error: TorilError) -> ExitCode:
    if isinstance(error, QueueUnavailableError | ServerNotFoundError):
        return ExitCode.UNREACHABLE
    if isinstance(error, OptionError | ConfigurationError):
        return ExitCode.USAGE
    return ExitCode.NOT_FOUND if isinstance(error, JobNotFoundError) else ExitCode.FAILED


def _outermost(error: ModuleNotFoundError) -> str:
    return (error.name or "").partition(".")[0]


def _see_help(error: BaseException) -> str:
    path = getattr(getattr(error, "ctx", None), "command_path", "toril")
    return f"see {path} --help"
