"""Jobs of the queue ``sync`` for tests: one run of a type, through the definition as a worker would."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.email_jobs import PlainJob

from toril.queues.base import QueueDefinition

#: For tests of a vendor's answers: one database will do.
ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

OTHER_FIRM = "507f1f77bcf86cd799439011"


async def run(
    definition: QueueDefinition, type: str, data: dict[str, Any] | None = None, *, job: PlainJob | None = None
) -> dict[str, Any]:
    """Work one job and return its result; ``job`` to look at what it was told, or to run it again."""
    working = job or PlainJob(None)
    working.data = {"type": type, "data": {} if data is None else data}
    return await definition.process(working)


class StoredJob(PlainJob):
    """A job whose progress is there again for the next attempt, as the engine's is."""

    def __init__(self) -> None:
        super().__init__(None)
        self.progress: Any = 0
        self.told: list[Any] = []

    async def update_progress(self, progress: Any) -> None:
        self.progress = progress
        self.told.append(progress)
