"""Functions for child processes: they must be importable there."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import Any

from toril.errors import UnrecoverableError


def square(job: Any) -> int:
    """``n`` squared."""
    n: int = job.data["n"]
    return n * n


def hang(job: Any) -> None:
    """Never returns."""
    threading.Event().wait()


def run_dry(job: Any) -> Any:
    """Raises what cannot be set as the error of a future."""
    return next(iter(()))


class UnreadableError(Exception):
    """Cannot be made again from its arguments, which is what reading it in another process does."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first}, {second}")


def fail_unreadably(job: Any) -> None:
    """Raises an error that travels and cannot be unpacked."""
    raise UnreadableError("two", "words")


def return_a_lock(job: Any) -> Any:
    """Returns what cannot travel to another process."""
    return threading.Lock()


def return_a_lambda(job: Any) -> Any:
    """Returns what is not JSON."""
    return lambda: 1


class UnreadableHere:
    """Can be pickled, and read again only by its maker."""

    def __reduce__(self) -> Any:
        return (_only_in, (os.getpid(),))


def _only_in(pid: int) -> Any:
    if os.getpid() != pid:
        raise RuntimeError("not made here")
    return UnreadableHere()


def return_what_only_we_can_read(job: Any) -> Any:
    """Returns what can be pickled and read again, but in this process only."""
    return UnreadableHere()


class OnlyOursError(Exception):
    """An error that can be pickled and read again, but in this process only."""

    def __reduce__(self) -> Any:
        return (_error_only_in, (os.getpid(), *self.args))


def _error_only_in(pid: int, *args: Any) -> Any:
    if os.getpid() != pid:
        raise KeyboardInterrupt
    return OnlyOursError(*args)


def fail_with_what_only_we_can_read(job: Any) -> Any:
    """Raises an error that only this process can make again."""
    raise OnlyOursError("the cause")


def fail(job: Any) -> None:
    """Raises what the job asks for."""
    raise {
        "unrecoverable": UnrecoverableError("never again"),
        "lookup": LookupError("not there"),
        "interrupt": KeyboardInterrupt("key"),
        "exit": SystemExit("exit"),
        "generator": GeneratorExit("gone"),
        "mute": MuteError(),
    }[job.data]


class MuteError(Exception):
    """Cannot tell what it is."""

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


def die(job: Any) -> None:
    """Ends its process in the way the job asks for."""
    if job.data == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGSEGV if job.data == "fault" else signal.SIGKILL)


def pid(job: Any) -> int:
    """The process it runs in."""
    return os.getpid()


def note_and_wait(job: Any) -> int:
    """Notes its process in a file, and returns it once another file is there."""
    with open(job.data["note"], "a", encoding="ascii") as note:
        note.write(f"{os.getpid()}\n")
    while not os.path.exists(job.data["until"]):
        time.sleep(0.01)
    return os.getpid()


def note_descriptors(job: Any) -> list[str]:
    """What this process holds open that is a socket."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if name.startswith("socket:"):
            found.append(name)
    return found


def start_a_program(job: Any) -> None:
    """Starts a program that never ends, notes it in a file, and waits for it."""
    program = subprocess.Popen(["sleep", "1000"])
    with open(job.data["note"], "w", encoding="ascii") as note:
        note.write(f"{program.pid}\n")
    program.wait()


def fork_and_return(job: Any) -> str:
    """Forks, and returns on both sides."""
    pid = os.fork()
    if pid == 0:
        return "the fork's"
    os.waitpid(pid, 0)  # it has done all that it will do
    return "the job's"


def fork_and_exit(job: Any) -> str:
    """Forks, and lets the fork end as Python's programs do: by an exception."""
    pid = os.fork()
    if pid == 0:
        raise SystemExit(1)
    os.waitpid(pid, 0)
    return "the job's"
