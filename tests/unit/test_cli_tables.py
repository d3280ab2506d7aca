"""Tables of commands on terminals of any width."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from toril.cli.output import _fit

PROGRAM = """
from toril.cli.output import print_table
print_table(("queue", "key", "when"), [("sync", "k" * 90, "30 * * * *")])
"""


def shown(columns: int) -> list[str]:
    """What a terminal of this width gets to see."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            stdin=theirs,
            stdout=theirs,
            env={**env, "TERM": "xterm"},
            check=True,
        )
        text = terminal.read(4096).decode()
    os.close(theirs)
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_a_wide_cell_gives_way_and_narrow_ones_stay_whole() -> None:
    head, row = shown(60)
    assert head.split() == ["queue", "key", "when"]
    assert row.startswith("sync   kkkk")
    assert row.endswith("k…  30 * * * *")
    assert len(row) <= 60


def test_a_terminal_that_is_wide_enough_cuts_nothing() -> None:
    assert "k" * 90 + "  30 * * * *" in shown(140)[1]


@pytest.mark.parametrize(
    ("natural", "room", "widths"),
    [
        ([4, 50, 10], 100, [4, 50, 10]),
        ([4, 50, 10], 40, [4, 26, 10]),
        ([4, 50, 30], 44, [4, 20, 20]),
        ([9, 9, 9], 3, [1, 1, 1]),
        ([9, 9], 0, [1, 1]),
        ([0, 5], 5, [1, 4]),
        ([], 80, []),
    ],
)
def test_widths_fit_into_the_room(natural: list[int], room: int, widths: list[int]) -> None:
    assert _fit(natural, room) == widths
