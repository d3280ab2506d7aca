"""The pages on commands and settings say what ``--help`` and the settings' rows say.

``python tests/docs/test_cli_reference.py`` writes the generated part of both pages anew.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from toril.cli.exits import MEANING
from toril.cli.main import run
from toril.cli.tree import Group, Root
from toril.settings import SETTINGS

REFERENCE = Path(__file__).parents[2] / "docs/reference"
MARK = "<!-- From here on this page is written by tests/docs/test_cli_reference.py. -->\n"


def paths(group: type[Group] = Root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, the whole of it first."""
    yield path
    for name, row in group.rows.items():
        if not isinstance(row.target, str):
            yield from paths(row.target, (*path, name))
        elif row.is_there:
            yield (*path, name)


def help_of(path: tuple[str, ...]) -> str:
    out = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": "100", "TERM": "dumb"}), contextlib.redirect_stdout(out):
        assert run([*path, "--help"]) == 0
    return out.getvalue()


def commands_part() -> str:
    return "".join(f"\n## {' '.join(('toril', *path))}\n\n```text\n{help_of(path)}```\n" for path in paths())


def settings_part() -> str:
    rows = ["\n| variable | takes | without it | |\n| --- | --- | --- | --- |\n"]
    for row in SETTINGS:
        about = f"{row.help} Never shown." if row.secret else row.help
        unset = f"`{row.unset}`" if row.unset and " " not in row.unset else row.unset
        rows.append(f"| `{row.variable}` | {row.kind} | {unset} | {about} |\n")
    return "".join(rows)


PARTS = {"cli.md": commands_part, "settings.md": settings_part}


@pytest.mark.parametrize("page", PARTS)
def test_the_generated_part_of_the_page_is_true(page: str) -> None:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    _, mark, part = text.partition(MARK)
    assert mark, f"{page} has lost its mark"
    assert part == PARTS[page](), (
        f"write {page} anew: python {Path(__file__).relative_to(REFERENCE.parents[1])}"
    )


def test_the_page_lists_every_exit_code() -> None:
    text = (REFERENCE / "cli.md").read_text(encoding="utf-8").partition(MARK)[0]
    for code, meaning in MEANING.items():
        assert f"| {code.value} | {meaning}" in text


if __name__ == "__main__":
    for name, part in PARTS.items():
        page = REFERENCE / name
        page.write_text(page.read_text(encoding="utf-8").partition(MARK)[0] + MARK + part(), encoding="utf-8")
