"""Whatever a stranger sends twenty thousand times, few problems are looked for, and fewer are told."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.all_queues import all_queues
from tests.support.payload_cases import sample

from toril.db.session import Database
from toril.errors import PayloadError
from toril.queues.base import QueueDefinition

MANY = 20_000

#: Problems that are found before a payload is known to be refused: a few in each object; long lists end at the first.
MOST_LOOKED_FOR = 500


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, QueueDefinition]:
    folder = tmp_path_factory.mktemp("payloads")
    return all_queues(Database(home=folder), folder)


QUEUES = ("cleanup", "email", "notification", "pdf", "report", "sync")


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value in good data with its path; of lists, the first."""
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def put(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(data)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


def crowds(good: Any) -> Iterator[tuple[str, Any]]:
    """The data with each of its parts twenty thousand times as big."""
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    names = {f"unheardOf{i}": 1 for i in range(MANY)}
    for path, value in places(good):
        at = ".".join(map(str, path))
        if isinstance(value, dict):
            yield f"{at}: unknown fields", put(good, path, {**value, **names})
        yield f"{at}: a list of nothing", put(good, path, [{}] * MANY)
        yield f"{at}: a list of itself", put(good, path, [value] * MANY)
        yield f"{at}: an object", put(good, path, names)
        yield f"{at}: a long text", put(good, path, "x\x01" * MANY)
        yield f"{at}: nested", put(good, path, deep)


def refused(definition: QueueDefinition, data: Any) -> PayloadError | None:
    try:
        definition.check(data)
    except PayloadError as error:
        return error
    return None


@pytest.mark.parametrize("queue", QUEUES)
def test_few_problems_are_looked_for_and_told(definitions: Mapping[str, QueueDefinition], queue: str) -> None:
    for name in definitions[queue].types:
        for what, data in crowds(sample(queue, name)):
            error = refused(definitions[queue], {"type": name, "data": data})
            if error is not None:
                cause = error.__cause__
                assert isinstance(cause, ValidationError)
                assert cause.error_count() <= MOST_LOOKED_FOR, f"{name}, {what}"
                assert len(str(error)) < 12_000, f"{name}, {what}"
