"""The process in which functions with ``process=True`` run; ``child_process.py`` starts it.

It takes one job after another from a socket that it shares with the worker, and answers each. Functions are called in
the main thread; another one reads, so that the end of the worker is seen whatever a function does.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import runpy
import signal
import socket
import sys
import threading
import types
from collections.abc import Callable
from typing import Any, Final

from toril.engine.child_errors import pack
from toril.engine.child_frames import BEGUN, ERROR, HEAD, RESULT, UP, ChildCall, frame
from toril.engine.codec import encode

#: Name of the worker's main module here, so that what it does as ``__main__`` is not done again.
_MAIN = "__mp_main__"
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)

_is_child = False


def is_child() -> bool:
    """Whether this process is a child that runs a worker's jobs."""
    return _is_child


def main(descriptor: int, parent: int) -> None:
    """Serve until the worker is gone.

    Args:
        descriptor: of our end of the socket.
        parent: process id of the worker.
    """
    global _is_child
    _is_child = True
    _die_with(parent)
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)  # a group of our own, so that what a job has started can be killed with it
    for number in (signal.SIGTERM, signal.SIGINT):
        # Who stops a whole service or presses Ctrl-C means the worker, which gives jobs their time. Not SIG_IGN,
        # which the programs that a job starts would inherit.
        signal.signal(number, lambda *_: None)
    connection = socket.socket(fileno=descriptor)
    connection.set_inheritable(False)
    # A function may fork; what it leaves there must neither answer for the job nor hide our end from the worker.
    os.register_at_fork(after_in_child=connection.close)
    own = os.getpid()
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, calls), name="toril-child", daemon=True).start()
    connection.sendall(frame(UP))
    functions: dict[bytes, Callable[..., Any]] = {}
    while True:
        answer = _answer(calls.get(), functions, connection)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()  # we may be killed at any time
        if os.getpid() != own:
            os._exit(0)  # a fork in which the function returned as well, or raised: SystemExit perhaps
        connection.sendall(answer)


def _answer(request: bytes, functions: dict[bytes, Callable[..., Any]], connection: socket.socket) -> bytes:
    try:
        call: ChildCall = pickle.loads(request)  # noqa: S301 - from the worker
        if (function := functions.get(call.function)) is None:
            if call.main is not None:
                _load_main(*call.main)
            function = functions[call.function] = pickle.loads(call.function)  # noqa: S301
        arguments = pickle.loads(call.arguments)  # noqa: S301
        connection.sendall(frame(BEGUN))
        value = function(**arguments) if call.spread else function(arguments)
        return frame(RESULT, encode(value, what="the result", limit=call.limit))
    except BaseException as error:
        return frame(ERROR, pack(error))


def _read(connection: socket.socket, calls: queue.SimpleQueue[bytes]) -> None:
    with contextlib.suppress(OSError), connection.makefile("rb") as stream:
        while len(head := stream.read(HEAD.size)) == HEAD.size:
            _, size = HEAD.unpack(head)
            body = stream.read(size)
            if len(body) < size:
                break
            calls.put(body)
    _end()


def _end() -> None:
    """End at once, with whatever jobs have started."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _die_with(parent: int) -> None:
    """Let the kernel end us with the worker, even while a function keeps all threads of this process waiting."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we had asked
        os._exit(0)


def _load_main(name: str | None, path: str | None) -> None:
    """Load what is ``__main__`` in the worker, as ``multiprocessing`` does, unless that has been done."""
    if _MAIN in sys.modules:
        return
    module = types.ModuleType(_MAIN)
    if name is not None:
        found = runpy.run_module(name, run_name=_MAIN, alter_sys=True)
    elif path is not None:
        found = runpy.run_path(path, run_name=_MAIN)
    else:
        return  # an interactive session has no file; what is looked for there is not found, and that is told
    module.__dict__.update(found)
    sys.modules["__main__"] = sys.modules[_MAIN] = module
