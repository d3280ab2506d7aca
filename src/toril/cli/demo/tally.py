"""What happened to the demonstration's jobs, by queue and type."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """What happened to the jobs of one type.

    Attributes:
        outcome: what the last of them to complete came to.
        first, last: when the first was added and the last ended; seconds of a monotonic clock.
    """

    queue: str
    type: str
    expected: int = 0
    completed: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    outcome: Mapping[str, Any] = field(default_factory=dict)
    first: float = 0.0
    last: float = 0.0

    def expect(self, count: int = 1) -> None:
        """So many more are on their way."""
        self.first = self.first or time.monotonic()
        self.expected += count

    def complete(self, outcome: Mapping[str, Any]) -> None:
        """One of them did its work."""
        self.completed += 1
        self.outcome, self.last = outcome, time.monotonic()

    def fail(self, reason: str) -> None:
        """One of them did not, or could not be added."""
        self.failed += 1
        self.reasons[reason] += 1
        self.last = time.monotonic()

    @property
    def ended(self) -> int:
        """How many are over."""
        return self.completed + self.failed

    @property
    def seconds(self) -> float:
        """From the first job added to the last one ended."""
        return max(self.last - self.first, 1e-9)


class Score:
    """The tallies of all types, in the order in which they were named."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    def of(self, queue: str, type: str) -> Tally:
        """The tally of a type."""
        return self._tallies.setdefault((queue, type), Tally(queue, type))

    @property
    def tallies(self) -> list[Tally]:
        """All of them."""
        return list(self._tallies.values())

    @property
    def over(self) -> bool:
        """Whether everything that is expected has ended."""
        return all(tally.ended >= tally.expected for tally in self.tallies)

    @property
    def complete(self) -> bool:
        """Whether every job did its work."""
        return all(tally.completed == tally.expected for tally in self.tallies)
