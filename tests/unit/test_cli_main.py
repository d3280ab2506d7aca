"""The command itself: help, usage errors, exit codes. Nothing here needs a server."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from inspect import getdoc

import pytest

from toril import __version__
from toril.cli.exits import ExitCode, ending_of
from toril.cli.main import run
from toril.cli.tree import Group, Root
from toril.errors import (
    ConfigurationError,
    JobLockedError,
    JobNotFoundError,
    OptionError,
    QueueUnavailableError,
    ServerNotFoundError,
    ServerRefusedError,
)


@pytest.fixture(autouse=True)
def _log_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("TORIL_LOG_LEVEL", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def commands(
    group: type[Group] = Root, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Path, help and target of every command of this installation."""
    for name, row in group.rows.items():
        if isinstance(row.target, str):
            if row.is_there:
                yield (*path, name), row.help, row.target
        else:
            yield from commands(row.target, (*path, name))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"toril {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_lists_the_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    out = capsys.readouterr().out
    for path, help, _ in commands():
        assert path[0] in out
        assert len(path) > 1 or help in out


@pytest.mark.parametrize("path", [path for path, _, _ in commands()], ids=" ".join)
def test_every_command_teaches(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: toril {' '.join(path)}" in out
    assert f"\nExamples:\n  toril {' '.join(path[:1])}" in out
    assert "4 no such job, queue or user" in out
    assert "--json" in out


@pytest.mark.parametrize(("path", "help", "target"), list(commands()), ids=lambda value: str(value))
def test_the_list_of_commands_says_what_their_own_help_says(
    path: tuple[str, ...], help: str, target: str
) -> None:
    module, _, name = target.partition(":")
    text = getdoc(getattr(import_module(module), name)) or ""
    assert text.splitlines()[0] == help


def test_help_imports_no_command_and_no_tables() -> None:
    code = (
        "import sys, toril; before = set(sys.modules); from toril.cli.main import run; run(['--help']); "
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ended.stderr.split())
    assert {name for name in loaded if name.startswith("toril.")} <= {
        "toril.cli",
        "toril.cli.command",
        "toril.cli.exits",
        "toril.cli.main",
        "toril.cli.tree",
        "toril.cli.streams",
        "toril.errors",
    }
    assert not {name for name in loaded if name.partition(".")[0] in ("rich", "pydantic", "jinja2")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quues"], "error: there is no command toril quues; did you mean 'queues'?\n"),
        (["jobs", "lst"], "error: there is no command toril jobs lst; did you mean 'list'?\n"),
        (["fly"], "error: there is no command toril fly; see toril --help\n"),
        (["jobs", "list"], "error: Missing argument 'QUEUE'; see toril jobs list --help\n"),
        (["worker", "tasks"], "error: 'tasks' does not name a queue; write MODULE:QUEUE, such as tasks:queue\n"),
        (["worker", "a:b", "--log-level", "loud"], "error: --log-level 'loud' is unknown; it is one of debug,"),
        (["worker", "a:b", "--url", "http://h"], "error: server URL 'http://h' cannot be used"),
        (["jobs", "list", "q", "--state", "done"], "error: there is no job state 'done'; the states are waiting"),
        (["jobs", "retry", "q"], "error: say which jobs; give ids, or --all, but not both\n"),
        (["jobs", "add", "q", "--data", "{"], "error: --data: the value is not JSON: "),
        (["jobs", "add", "q", "--data", "@no-such-file"], "error: --data: no-such-file cannot be read: No such file"),
        (["jobs", "add", "q", "--options", '{"atempts": 2}'], "error: unknown option 'atempts', did you mean"),
        (["jobs", "list", "a*b"], "error: queue name 'a*b' has '*'"),
    ],
)  # fmt: skip
def test_wrong_usage_is_2_and_says_what_to_write(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(message)


@pytest.mark.parametrize("arguments", [["--json", "quues"], ["jobs", "list", "--json"]])
def test_errors_are_json_when_answers_are(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    error = json.loads(captured.err)["error"]
    assert (error["code"], set(error)) == ("usage", {"code", "message", "hint"})


def test_a_bad_setting_is_2(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    assert run(["queues"]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error: PORT: 'http' cannot be used: it must be a whole number")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OptionError("x"), ExitCode.USAGE),
        (ConfigurationError("x"), ExitCode.USAGE),
        (QueueUnavailableError("x"), ExitCode.UNREACHABLE),
        (ServerRefusedError("x"), ExitCode.UNREACHABLE),
        (ServerNotFoundError("x"), ExitCode.UNREACHABLE),
        (JobNotFoundError("1", "x"), ExitCode.NOT_FOUND),
        (JobLockedError("1", "x"), ExitCode.FAILED),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (RuntimeError("x"), ExitCode.FAILED),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, code: ExitCode) -> None:
    assert ending_of(error).exit is code


def test_a_fault_of_ours_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("wires \x1b crossed")

    monkeypatch.setattr("toril.cli.discovery.find_queues", broken)
    monkeypatch.setattr("toril.cli.queues.find_queues", broken)
    monkeypatch.setattr("toril.cli.command.Call.connection", broken)
    assert run(["queues"]) == ExitCode.FAILED
    err = capsys.readouterr().err
    assert err.startswith("error: RuntimeError: wires \\u001b crossed; this is a fault of toril")
    assert "Traceback" not in err
    monkeypatch.setenv("TORIL_LOG_LEVEL", "debug")
    assert run(["queues"]) == ExitCode.FAILED
    assert "Traceback" in capsys.readouterr().err


def test_a_command_whose_extra_is_not_installed_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['sqlalchemy'] = None\n"  # as if it were not there
        "from toril.cli.main import run; sys.exit(run(['users', 'list']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == (
        "error: this command needs the package 'sqlalchemy', which is not installed; "
        "pip install 'toril[all]' brings all that any command needs\n"
    )


def test_a_module_of_ours_that_is_missing_is_a_fault_of_ours() -> None:
    ending = ending_of(ModuleNotFoundError("No module named 'toril.gone'", name="toril.gone"))
    assert (ending.exit, ending.code) == (ExitCode.FAILED, "internal_error")
