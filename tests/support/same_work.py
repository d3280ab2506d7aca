"""What many workers do at once on the same records, so that it can be compared with what one worker does alone."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from toril.db.session import Database
from toril.queues.base import QueueDefinition
from toril.queues.report.processors import AddJob

Job = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What workers do in one run.

    Attributes:
        open: makes a worker's definitions, on a database of its own; the jobs are those of the first, which add others
            to the rest by what is given.
        jobs: data of the jobs, in the order they are added.
        left: what is in the records, without ids and times, so that two runs can be compared. It is given what the
            jobs that completed returned, in the order in which they were added.
        refused: what the reasons of jobs look like that may fail, from their beginning.
    """

    open: Callable[[Database, AddJob], Sequence[QueueDefinition]]
    jobs: Sequence[Job]
    left: Callable[[Database, Sequence[Any]], Awaitable[Any]]
    refused: re.Pattern[str] = re.compile("nothing may fail")


@dataclass(frozen=True)
class Scenario:
    """Jobs of some types of a queue, and the records that they work on.

    Attributes:
        types: all of them have jobs.
        prepare: makes the records; what it opens is closed with the stack.
    """

    queue: str
    types: Collection[str]
    prepare: Callable[[Database, AsyncExitStack], Awaitable[Work]]


Scenarios = Mapping[str, Scenario]


async def add_none(queue: str, data: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
    """For what adds no jobs."""
    raise NotImplementedError
