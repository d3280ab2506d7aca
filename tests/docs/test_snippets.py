"""The examples in the README and the docs run, and print what the text says."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"<!-- file: (\S+) -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"<!-- needs: (\S+) -->\n$")
_RUN = re.compile(r"<!-- run: (.+) -->")


def python_blocks() -> Iterator[tuple[str, str, str | None, str | None]]:
    """(where, code, the text block after "It prints", if there is one, the package it needs that is not ours)."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if _FILE.search(text):
            continue
        blocks = list(_FENCE.finditer(text))
        for number, block in enumerate(blocks):
            if block[1] != "python":
                continue
            following = blocks[number + 1] if number + 1 < len(blocks) else None
            between = text[block.end() : following.start()] if following else ""
            printed = following[2] if following and following[1] == "text" and "prints" in between else None
            needs = _NEEDS.search(text[: block.start()])
            yield f"{page.relative_to(ROOT)}:{number}", block[2], printed, needs[1] if needs else None


def environment(home: Path) -> dict[str, str]:
    """As a newcomer's: no server configured, a home of its own."""
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV")
    }
    return {**kept, "HOME": str(home), "TORIL_HOME": str(home / "toril"), "PYTHONPATH": str(home)}


@pytest.mark.parametrize(
    ("code", "printed", "needs"),
    [pytest.param(code, printed, needs, id=where) for where, code, printed, needs in python_blocks()],
)
def test_example_runs(code: str, printed: str | None, needs: str | None, tmp_path: Path) -> None:
    if needs and importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    run_tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if "def test_" in code else []
    done = subprocess.run(
        [sys.executable, *run_tests, "example.py"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if printed is not None:
        assert done.stdout == printed


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_the_examples_print_what_they_say(path: Path, tmp_path: Path) -> None:
    code = path.read_text(encoding="utf-8")
    assert len(code.splitlines()) < 60
    said = ast.get_docstring(ast.parse(code))
    assert said is not None
    printed = textwrap.dedent(said.partition("It prints:\n\n")[2]) + "\n"
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True,
        timeout=90, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, printed), done.stderr


def test_the_readme_example_prints_its_result(tmp_path: Path) -> None:
    code = next(code for where, code, *_ in python_blocks() if where.startswith("README.md"))
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True,
        timeout=90, check=True,
    )  # fmt: skip
    assert done.stdout == "sent to ada@example.com\n"


def test_the_tutorial_works_when_followed(tmp_path: Path) -> None:
    text = (ROOT / "docs/tutorial/first-queue.md").read_text(encoding="utf-8")
    for name, code in _FILE.findall(text):
        (tmp_path / name).write_text(code, encoding="utf-8")
    worker_line, add_line = _RUN.findall(text)
    scripts = Path(sys.executable).parent
    env = environment(tmp_path)
    worker = subprocess.Popen(
        [str(scripts / worker_line.split()[0]), *worker_line.split()[1:]],
        cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        added = subprocess.run(
            [sys.executable, *add_line.split()[1:]], cwd=tmp_path, env=env, capture_output=True, text=True,
            timeout=90, check=False,
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
        expected = text.split("It prints\n\n```text\n")[1].split("```")[0]
        assert added.stdout == expected
        worker.send_signal(signal.SIGINT)
        output, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0, output
        assert "Traceback" not in output
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        worker.communicate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
