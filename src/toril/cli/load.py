"""Finds the queues a worker is to serve: ``MODULE:QUEUE``, or an error that says what to write instead."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from toril.cli.exits import CommandError, ExitCode
from toril.engine.queue import Queue
from toril.engine.tasks import Task


def load_queues(targets: list[str]) -> list[Queue]:
    """Import what ``MODULE:QUEUE`` names, each queue once; modules may be in the working directory.

    Raises:
        CommandError: one cannot be found, cannot be imported, is no queue, or has no processors.
    """
    if (here := _here()) and here not in sys.path:
        sys.path.insert(0, here)
    queues = {id(queue): queue for queue in map(_load_queue, targets)}
    return list(queues.values())


def _load_queue(target: str) -> Queue:
    module_name, colon, path = target.partition(":")
    if not colon or not module_name or not path:
        raise _wrong(f"{target!r} does not name a queue", "write MODULE:QUEUE, such as tasks:queue")
    found: Any = _import(module_name)
    for number, name in enumerate(names := path.split(".")):
        if not hasattr(found, name):
            where = ":".join((module_name, ".".join(names[:number]))).rstrip(":")
            raise _wrong(f"{where!r} has no {name!r}", _instead(found, name))
        found = getattr(found, name)
    if isinstance(found, Task):
        raise _wrong(f"{target!r} is a task, not a queue", "name the queue that the task belongs to")
    if not isinstance(found, Queue):
        kind = f"{type(found).__module__}.{type(found).__qualname__}".removeprefix("builtins.")
        raise _wrong(f"{target!r} is no toril.Queue but of type {kind}", "name a variable that holds a Queue")
    if not len(found.processors):
        raise _wrong(
            f"queue {found.name!r} ({target}) has no processors",
            "register functions with @queue.task or @queue.process() in that module",
        )
    return found


def _import(name: str) -> ModuleType:
    if name.endswith(".py") or os.sep in name:
        wanted = name.removesuffix(".py").strip(os.sep + ".").replace(os.sep, ".")
        raise _wrong(f"{name!r} is a file's name, not a module's", f"write {wanted}:QUEUE")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            near = get_close_matches(
                name, [path.stem for path in Path(_here() or os.devnull).glob("*.py")], n=1
            )
            hint = (
                f"did you mean {near[0]!r}?" if near else "run toril where the module is, or set PYTHONPATH"
            )
            raise _wrong(
                f"there is no module {error.name!r} in {_here() or 'a deleted directory'} or on Python's path",
                hint,
            ) from error
        raise _broken(name, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _instead(owner: Any, name: str) -> str:
    near = get_close_matches(name, dir(owner), n=1)
    queues = [each for each, value in vars(owner).items() if isinstance(value, Queue)] if near == [] else near
    if not queues:
        return "it holds no queue at all"
    return (
        f"did you mean {queues[0]!r}?" if near or len(queues) == 1 else f"its queues are {', '.join(queues)}"
    )


def _wrong(message: str, hint: str) -> CommandError:
    return CommandError(message, exit=ExitCode.USAGE, code="no_such_queue", hint=hint)


def _broken(name: str, error: BaseException) -> CommandError:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen ")]
    file, line = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (None, None)
    if file is None and frames:
        file, line = frames[-1].filename, frames[-1].lineno
    place = f"{os.path.relpath(file)}, line {line}" if file else "no source"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return CommandError(
        f"module {name!r} cannot be imported: {type(error).__name__}: {text} ({place})",
        exit=ExitCode.FAILED,
        code="import_failed",
        hint=f"python -c 'import {name}' shows all of it",
    )


def _here() -> str:
    """The working directory; nothing if it was deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""
