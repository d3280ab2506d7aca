"""The reference lists what there is: nothing missing, nothing gone."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import toril.errors
from toril.engine import events, hooks
from toril.engine.options import JobOptions
from toril.engine.queue import Queue
from toril.engine.worker import Worker

REFERENCE = Path(__file__).parents[2] / "docs/reference"


def first_column(text: str) -> set[str]:
    """Names in backticks at the start of table rows."""
    cells = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def section(page: str, title: str) -> str:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return re.split(r"^## ", text.split(f"## {title}")[1], flags=re.MULTILINE)[0]


def parameters(function: object) -> set[str]:
    kinds = (inspect.Parameter.KEYWORD_ONLY,)
    return {p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds}  # type: ignore[arg-type]


def test_every_job_option_is_listed() -> None:
    options = {field.name for field in dataclasses.fields(JobOptions)} - {"extra"}
    listed = {name for name in first_column(section("options.md", "Of a job")) if "(" not in name}
    assert listed == options


def test_every_queue_option_is_listed() -> None:
    from toril.engine.core import QueueCore

    assert first_column(section("options.md", "Of a queue")) == parameters(QueueCore.__init__)
    assert issubclass(Queue, QueueCore)


def test_every_worker_option_is_listed() -> None:
    assert first_column(section("options.md", "Of a worker")) == parameters(Worker.__init__)


def test_every_event_is_listed() -> None:
    assert first_column(section("events.md", "Local")) == set(hooks.EVENTS)
    assert first_column(section("events.md", "Global")) == set(events.EVENTS)


def test_every_error_is_listed_with_its_code() -> None:
    text = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    for name, error in inspect.getmembers(toril.errors, inspect.isclass):
        if error.__module__ == toril.errors.__name__:
            assert f"| `{name}` | `{error.code}` |" in text, (
                f"{name} is not in errors.md, or with another code"
            )
            assert name in (toril.errors.__doc__ or ""), f"{name} is not in the tree at the top of errors.py"
