"""Ids of records."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from toril.db.errors import RecordValueError
from toril.db.ids import check_id, is_id, new_id


def test_ids_are_unique_and_begin_with_the_time() -> None:
    before = int(time.time())
    made = [new_id() for _ in range(100_000)]
    assert len(set(made)) == len(made)
    assert all(is_id(each) for each in made)
    assert before <= int(made[0][:8], 16) <= int(time.time())
    assert len({each[8:18] for each in made}) == 1, "five bytes are the process's"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_makes_ids_of_its_own() -> None:
    # In a process without threads, which are not to be forked.
    code = (
        "import os; from toril.db.ids import new_id; new_id()\n"
        "child = os.fork(); child and os.waitpid(child, 0); print(new_id(), flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    mine, theirs = done.stdout.split()
    assert mine[8:18] != theirs[8:18]


def test_an_id_of_the_node_application_is_accepted_in_any_case() -> None:
    assert check_id("507f1f77bcf86cd799439011") == "507f1f77bcf86cd799439011"
    assert check_id("507F1F77BCF86CD799439011") == "507f1f77bcf86cd799439011"


@pytest.mark.parametrize(
    "text", ["", "507f1f77bcf86cd79943901", "507f1f77bcf86cd79943901g", "1\n" * 12, None, 5]
)
def test_what_is_no_id_is_refused(text: object) -> None:
    assert not is_id(text)
    with pytest.raises(RecordValueError, match="24 hex digits"):
        check_id(text)
