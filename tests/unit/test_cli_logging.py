"""Log lines as commands write them."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from toril.observability.logging import configure, harmless


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, asyncio_level = root.handlers[:], root.level, logging.getLogger("asyncio").level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(asyncio_level)
    logging.captureWarnings(False)


def written(level: str, form: str) -> tuple[io.StringIO, logging.Logger]:
    stream = io.StringIO()
    configure(level, form, stream)
    return stream, logging.getLogger("toril.worker")


def parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_for_people_is_time_level_event_and_fields() -> None:
    stream, log = written("info", "text")
    log.info("worker_started", extra={"queue": "a b", "concurrency": 4, "job_ids": ["1"]})
    time, rest = stream.getvalue().split(" ", 1)
    assert len(time) == len("12:30:01.123")
    assert rest == 'INFO    worker_started queue="a b" concurrency=4 job_ids=["1"]\n'


def test_what_the_message_says_is_not_said_again() -> None:
    stream, log = written("info", "text")
    log.warning("failed: %s", "no more", extra={"event": "failed", "error": "no more", "job_id": "1"})
    assert stream.getvalue().endswith("WARNING failed: no more job_id=1\n")


def test_a_line_for_machines_holds_event_message_and_fields() -> None:
    stream, log = written("debug", "json")
    log.warning("server_away: cannot connect to %s", "h", extra={"server": "h", "reason": "no"})
    log.debug("job_taken", extra={"job_id": "7"})
    logging.getLogger("app").info("paid: 3 of 4")
    first, second, third = parsed(stream)
    assert first["time"].endswith("+00:00")
    assert {key: first[key] for key in first if key != "time"} == {
        "level": "warning",
        "logger": "toril.worker",
        "event": "server_away",
        "message": "cannot connect to h",
        "server": "h",
        "reason": "no",
    }
    assert (second["event"], second["job_id"], "message" in second) == ("job_taken", "7", False)
    assert (third["message"], "event" in third) == ("paid: 3 of 4", False)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_text_from_outside_cannot_drive_a_terminal_or_forge_a_line(form: str) -> None:
    stream, log = written("info", form)
    log.error("failed: %s", "\x1b[2J\r\n12:00:00.000 INFO    all_is_well \u202e")
    text = stream.getvalue()
    assert "\x1b" not in text
    assert "\r" not in text
    lines = text.splitlines()
    assert len(lines) == 1 or lines[1].startswith("    12:00:00.000")


def test_errors_come_with_their_traceback() -> None:
    for form in ("text", "json"):
        stream, log = written("info", form)
        try:
            raise ValueError("broken")
        except ValueError:
            log.exception("service_failed")
        assert "ValueError: broken" in stream.getvalue()
    assert "Traceback" in parsed(stream)[0]["traceback"]


def test_the_level_holds_for_everybody_and_is_set_anew_by_the_next_call() -> None:
    stream, log = written("warning", "text")
    log.info("not_shown")
    logging.getLogger("app").info("not shown")
    assert stream.getvalue() == ""
    again, log = written("info", "text")
    log.info("shown")
    assert (stream.getvalue(), again.getvalue().count("shown")) == ("", 1)


def test_warnings_are_log_lines() -> None:
    stream, _ = written("warning", "text")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
    assert "old call" in stream.getvalue()


def test_there_is_no_colour_without_a_terminal() -> None:
    stream, log = written("info", "text")
    log.error("worker_lost")
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_the_level_has_a_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    configure("info", "text", terminal)
    logging.getLogger("toril").error("worker_lost")
    assert "\x1b[31mERROR  \x1b[0m worker_lost" in terminal.getvalue()


def test_control_characters_are_made_visible_and_letters_kept() -> None:
    assert harmless("فاتورة\tA\n\x00\x9b\u2066") == "فاتورة\tA\n\\u0000\\u009b\\u2066"
