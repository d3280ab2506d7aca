"""From ``MODULE:QUEUE`` to a queue, or to an error that says what to write instead."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import pytest

from toril.cli.exits import CommandError, ExitCode
from toril.cli.load import load_queues
from toril.engine.queue import Queue

CODE = """
from toril.engine.queue import Queue

class Queues:
    mail = Queue("mail")

video = Queue("video")
empty = Queue("empty")
number = 7

@video.task
async def encode(path): ...

@Queues.mail.process()
async def send(job): ...
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"tasks_{uuid.uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return name


def refused(target: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        load_queues([target])
    return caught.value


def test_queues_are_found_by_name_and_by_dotted_path(module: str) -> None:
    queues = load_queues([f"{module}:video", f"{module}:Queues.mail", f"{module}:video"])
    assert [queue.name for queue in queues] == ["video", "mail"]
    assert all(isinstance(queue, Queue) for queue in queues)


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("vidoe", "has no 'vidoe'", "did you mean 'video'?"),
        ("Queues.mial", "has no 'mial'", "did you mean 'mail'?"),
        ("zzz", "has no 'zzz'", "its queues are video, empty"),
        ("number", "is no toril.Queue but of type int", "name a variable that holds a Queue"),
        ("encode", "is a task, not a queue", "name the queue that the task belongs to"),
        (
            "empty",
            "has no processors",
            "register functions with @queue.task or @queue.process() in that module",
        ),
    ],
)
def test_what_is_no_queue_to_work_on_is_refused(module: str, path: str, message: str, hint: str) -> None:
    error = refused(f"{module}:{path}")
    assert message in str(error)
    assert (error.hint, error.exit) == (hint, ExitCode.USAGE)


@pytest.mark.parametrize("target", ["tasks", "tasks:", ":queue", ""])
def test_a_name_without_its_two_parts_is_refused(target: str) -> None:
    assert refused(target).hint == "write MODULE:QUEUE, such as tasks:queue"


@pytest.mark.parametrize(
    ("target", "hint"),
    [("tasks.py:queue", "write tasks:QUEUE"), ("./app/tasks.py:queue", "write app.tasks:QUEUE")],
)
def test_a_file_is_refused_with_its_module(target: str, hint: str) -> None:
    assert refused(target).hint == hint


def test_a_module_that_is_not_there_is_told_from_one_that_misses_another(module: str, tmp_path: Path) -> None:
    error = refused(f"{module[:-1]}:video")
    assert f"there is no module {module[:-1]!r} in {tmp_path}" in str(error)
    assert (error.hint, error.exit) == (f"did you mean {module!r}?", ExitCode.USAGE)

    (tmp_path / f"x{module}.py").write_text("\nimport no_such_package_at_all\n")
    error = refused(f"x{module}:video")
    expected = (
        f"module 'x{module}' cannot be imported: "
        f"ModuleNotFoundError: No module named 'no_such_package_at_all' (x{module}.py, line 2)"
    )
    assert (str(error), error.exit) == (expected, ExitCode.FAILED)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("x = (", "SyntaxError: '(' was never closed"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_breaks_is_told_with_file_and_line(
    module: str, tmp_path: Path, code: str, problem: str
) -> None:
    (tmp_path / f"y{module}.py").write_text(f"# broken\n{code}\n")
    assert str(refused(f"y{module}:video")).endswith(f"{problem} (y{module}.py, line 2)")
