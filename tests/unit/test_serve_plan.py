"""Which processes ``toril serve`` runs, and what each of them works."""

from __future__ import annotations

import pytest

from toril.cli.exits import CommandError
from toril.cli.serve_plan import plan_processes


@pytest.mark.parametrize(
    ("rows", "only", "plan"),
    [
        ([], [], [[]]),
        (["3"], [], [[], [], []]),
        (["pdf=2"], [], [["--skip", "pdf"], ["--only", "pdf"], ["--only", "pdf"]]),
        (["2", "pdf=1"], [], [["--skip", "pdf"], ["--skip", "pdf"], ["--only", "pdf"]]),
        (["2"], ["pdf", "email"], [["--only", "pdf", "--only", "email"]] * 2),
        (["pdf=2"], ["pdf"], [["--only", "pdf"], ["--only", "pdf"]]),
        (["pdf=1"], ["pdf", "email"], [["--only", "email"], ["--only", "pdf"]]),
        (["2", "3"], [], [[], [], []]),
    ],
)
def test_processes_share_the_queues_but_those_that_have_their_own(
    rows: list[str], only: list[str], plan: list[list[str]]
) -> None:
    assert plan_processes(rows, only) == plan


@pytest.mark.parametrize(
    ("rows", "only", "says"),
    [
        (["0"], [], "0 processes"),
        (["pdf=0"], [], "--processes 'pdf=0' is not QUEUE=N"),
        (["=2"], [], "is not QUEUE=N"),
        (["-1"], [], "is not QUEUE=N"),
        (["many"], [], "is not QUEUE=N"),
        (["300"], [], "1 to 256"),
        (["pdf=2"], ["email"], "leaves out"),
    ],
)
def test_what_makes_no_sense_is_refused(rows: list[str], only: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        plan_processes(rows, only)


@pytest.mark.parametrize(("rows", "only"), [(["pdf=2"], []), ([], ["email"])])
def test_a_queue_is_not_both_left_out_and_worked(rows: list[str], only: list[str]) -> None:
    with pytest.raises(CommandError, match="--skip"):
        plan_processes(rows, only, ["pdf"])
