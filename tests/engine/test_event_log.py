"""The log that every queue keeps of its events."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from toril.engine.actions import JobActions
from toril.engine.event_log import LEVELS
from toril.engine.hooks import EVENTS, Hooks
from toril.engine.job import Job
from toril.errors import UnrecoverableError


def a_job(**fields: Any) -> Job[Any]:
    job: Job[Any] = Job(cast("JobActions", None), "7", "send", {"token": "s3cret"}, {"attempts": 3})
    for name, value in fields.items():
        setattr(job, name, value)
    return job


#: Each event with what it is told with, and the fields of its line.
TOLD: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("waiting", ("7",), {"job_id": "7"}),
    ("active", (a_job(),), {"job_id": "7", "job_name": "send", "attempts_made": 0}),
    ("progress", ("7", {"s3cret": 1}), {"job_id": "7"}),
    (
        "completed",
        (a_job(processed_on=1_000, finished_on=1_250), "s3cret"),
        {"job_id": "7", "job_name": "send", "attempts_made": 0, "duration_ms": 250},
    ),
    ("completed", (a_job(), "s3cret"), {"job_id": "7", "job_name": "send", "attempts_made": 0}),
    (
        "failed",
        (a_job(attempts_made=3), ValueError("no paper")),
        {"job_id": "7", "attempts_made": 3, "error": "no paper", "error_type": "ValueError"},
    ),
    ("failed", (a_job(attempts_made=1), UnrecoverableError("never")), {"attempts_made": 1, "error": "never"}),
    ("failed", (a_job(attempts_made=1, finished_on=5), ValueError("x")), {"attempts_made": 1}),
    ("failed", (a_job(attempts_made=1, discarded=True), ValueError("x")), {"attempts_made": 1}),
    ("failed", (None, ValueError()), {"error": "ValueError"}),
    ("retrying", (a_job(attempts_made=1), OSError("off"), 500.0), {"wait_ms": 500.0, "error": "off"}),
    ("stalled", ("7",), {"job_id": "7"}),
    ("lock_lost", (a_job(),), {"job_id": "7"}),
    ("lock_extension_failed", (["7", "8"], OSError("off")), {"job_ids": ["7", "8"], "error": "off"}),
    ("drained", (), {}),
    ("paused", (), {}),
    ("resumed", (), {}),
    ("removed", ("7",), {"job_id": "7"}),
    ("cleaned", (["7", "8"], "failed"), {"count": 2, "state": "failed"}),
    ("duplicated", ("7",), {"job_id": "7"}),
    ("debounced", ("7",), {"job_id": "7"}),
    ("error", (OSError("off"),), {"error": "off", "error_type": "OSError"}),
]


@pytest.mark.parametrize(
    ("event", "arguments", "fields"), TOLD, ids=[f"{n}-{row[0]}" for n, row in enumerate(TOLD)]
)
def test_every_event_is_logged_with_its_fields_and_without_payloads(
    caplog: pytest.LogCaptureFixture, event: str, arguments: tuple[Any, ...], fields: dict[str, Any]
) -> None:
    with caplog.at_level(logging.DEBUG, "toril.queue"):
        Hooks("mail").emit(event, *arguments)
    (record,) = caplog.records
    assert record.name == "toril.queue"
    assert record.levelno == LEVELS[event]
    assert record.getMessage().partition(":")[0] == event
    assert fields.items() <= record.__dict__.items()
    assert record.__dict__["queue"] == "mail"
    assert record.__dict__["event"] == event
    assert "s3cret" not in str(record.__dict__)


def test_the_table_above_has_every_event() -> None:
    assert {event for event, _, _ in TOLD} == set(EVENTS) == set(LEVELS)


def test_an_attempt_that_is_followed_by_another_is_told_by_retrying_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hooks, job, error = Hooks("mail"), a_job(attempts_made=1), OSError("off")
    with caplog.at_level(logging.DEBUG, "toril.queue"):
        hooks.emit("failed", job, error)
        hooks.emit("retrying", job, error, 100.0)
    assert [(row.__dict__["event"], row.levelno) for row in caplog.records] == [("retrying", logging.INFO)]


def test_what_is_below_the_level_is_neither_written_nor_wanted(caplog: pytest.LogCaptureFixture) -> None:
    hooks = Hooks("mail")
    with caplog.at_level(logging.WARNING, "toril.queue"):
        assert not hooks.wanted("completed")
        assert hooks.wanted("stalled")
        hooks.emit("completed", None, None)
    assert caplog.records == []
    hooks.on("completed", print)
    assert hooks.wanted("completed")


def test_a_listener_taken_back_is_not_called() -> None:
    hooks, calls = Hooks("mail"), []
    hooks.on("drained", lambda: calls.append(1))
    listener = lambda: calls.append(2)  # noqa: E731
    hooks.on("drained", listener)
    hooks.off("drained", listener)
    hooks.off("drained", listener)
    hooks.emit("drained")
    assert calls == [1]
