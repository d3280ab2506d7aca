from __future__ import annotations

import json
from typing import Any, cast

import pytest

from toril.engine.actions import JobActions
from toril.engine.job import Job
from toril.engine.outcome import Outcome, after_error, attempts_of, completed, handed_back, reason_of
from toril.errors import ConfigurationError, RetryableError, UnrecoverableError


def job_with(**opts: Any) -> Job[Any]:
    return Job(cast("JobActions", None), "7", "greet", {}, opts)


async def outcome_of(error: BaseException, **opts: Any) -> Outcome:
    return await after_error(job_with(**opts), error, {})


async def test_the_last_attempt_fails_for_good() -> None:
    outcome = await outcome_of(ValueError("broken"), attempts=1)
    assert outcome.verb == "fail"
    reason, traces, made, count, age, _ = outcome.arguments
    assert (reason, made, count, age) == ("broken", "1", "-1", "-1")
    assert "ValueError: broken" in json.loads(traces)[0]


async def test_with_attempts_left_it_is_retried_at_once_or_after_its_backoff() -> None:
    assert (await outcome_of(ValueError("x"), attempts=2)).verb == "retry"
    outcome = await outcome_of(ValueError("x"), attempts=2, backoff={"type": "fixed", "delay": 500})
    assert (outcome.verb, outcome.arguments[3]) == ("delay", "500")


@pytest.mark.parametrize("error", [UnrecoverableError("no"), ConfigurationError("no")])
async def test_errors_that_another_attempt_cannot_mend_fail_at_once(error: Exception) -> None:
    assert (await outcome_of(error, attempts=5)).verb == "fail"


async def test_a_discarded_job_fails_at_once() -> None:
    job = job_with(attempts=5)
    job.discard()
    assert (await after_error(job, ValueError("x"), {})).verb == "fail"


async def test_retry_after_is_the_least_wait() -> None:
    slow = RetryableError("busy", retry_after=60)
    assert (await outcome_of(slow, attempts=2)).arguments[3] == "60000"
    backoff = {"type": "fixed", "delay": 90_000}
    assert (await outcome_of(slow, attempts=2, backoff=backoff)).arguments[3] == "90000"


async def test_only_the_newest_stack_traces_are_kept() -> None:
    job = job_with(attempts=9, stackTraceLimit=2)
    for number in range(4):
        outcome = await after_error(job, ValueError(f"failure {number}"), {})
    kept = json.loads(outcome.arguments[1])
    assert [trace.splitlines()[-1] for trace in kept] == ["ValueError: failure 2", "ValueError: failure 3"]


async def test_a_huge_trace_and_message_are_cut() -> None:
    outcome = await outcome_of(ValueError("x" * 10**6), attempts=1)
    assert len(outcome.arguments[0]) <= 4000
    assert len(outcome.arguments[1]) < 40_000


@pytest.mark.parametrize(
    ("raw", "attempts"), [(3, 3), ("5", 5), ("abc", 1), (None, 1), (True, 1), ({}, 1), (float("inf"), 1)]
)
def test_attempts_are_read_as_node_reads_them(raw: Any, attempts: int) -> None:
    assert attempts_of({"attempts": raw}) == attempts


@pytest.mark.parametrize(
    ("error", "reason"), [(ValueError("x"), "x"), (ValueError(""), ""), (ValueError(), "ValueError")]
)
def test_the_reason_is_the_message_or_the_class(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_completion_carries_the_keep_policy() -> None:
    assert completed(job_with(), 1, b"1").arguments[3:5] == ("-1", "-1")
    assert completed(job_with(removeOnComplete={"age": 7, "count": 5}), 1, b"1").arguments[3:5] == ("5", "7")


def test_handing_back_counts_no_attempt() -> None:
    job = job_with()
    assert handed_back(job).verb == "return"
    assert job.attempts_made == 0
