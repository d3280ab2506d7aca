"""The page on payloads says what the models say, and what jobs really return.

``python -m tests.docs.test_payload_reference`` writes the generated part of the page anew.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from tests.support.all_queues import all_queues
from tests.support.email_jobs import PlainJob
from tests.support.job_results import RESULTS, problems, result_type
from tests.support.payload_cases import sample
from tests.support.payload_reference import reference_of
from tests.support.report_ledger import add_books

import toril.queues.sync
from toril.db.session import Database
from toril.queues.base import QueueDefinition

PAGE = Path(__file__).parents[2] / "docs/reference/payloads.md"
MARK = "<!-- From here on this page is written by tests/docs/test_payload_reference.py. -->\n"
LINKS = {"public_url": "https://mail.firm.example", "secrets": ["s" * 32]}


def described() -> Mapping[str, QueueDefinition]:
    """The queues, over records that are not there."""
    folder = Path(tempfile.gettempdir()) / "not-used"
    return all_queues(Database(home=folder), folder)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(home=tmp_path) as opened:
        await opened.upgrade()
        yield opened


@pytest.fixture
async def definitions(database: Database, tmp_path: Path) -> AsyncIterator[Mapping[str, QueueDefinition]]:
    async def add_job(queue: str, data: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"jobId": options["jobId"]}

    made = all_queues(database, tmp_path, add_job=add_job, **LINKS)
    yield made
    for definition in made.values():
        await definition.close()


def test_the_page_is_what_the_models_say() -> None:
    _, mark, part = PAGE.read_text(encoding="utf-8").partition(MARK)
    assert mark, f"{PAGE.name} has lost its mark"
    assert part == reference_of(described()), (
        f"write {PAGE.name} anew: python -m tests.docs.test_payload_reference"
    )


def test_every_type_says_what_it_returns() -> None:
    of = {(name, each.name): each for name, queue in described().items() for each in queue.types.values()}
    assert set(RESULTS) <= set(of)
    for (queue, _), job_type in of.items():
        assert "success" in get_type_hints(result_type(queue, job_type))


#: Of each queue, beside those called like it.
PAGES = {"notification": "notifications", "report": "reports"}


@pytest.mark.parametrize("queue", ["cleanup", "email", "notification", "pdf", "report", "sync"])
def test_how_to_pages_name_every_type_and_no_other(queue: str) -> None:
    page = PAGE.parents[1] / "howto" / f"{PAGES.get(queue, queue)}.md"
    text = page.read_text(encoding="utf-8")
    table = text[text.index("| type |") :].partition("\n\n")[0]
    listed = re.findall(r"^\| \[?`([^`]+)`", table, re.MULTILINE)
    assert sorted(listed) == sorted(described()[queue].types)


async def returned(definition: QueueDefinition, type: str, data: dict[str, Any]) -> None:
    """Work one job, and hold what it returns against the page."""
    result = await definition.process(PlainJob({"type": type, "data": data}, id=f"{definition.name}-{type}"))
    assert list(problems(result, result_type(definition.name, definition.types[type]))) == []


@pytest.mark.parametrize("queue", ["cleanup", "email", "pdf"])
async def test_jobs_return_what_the_page_says(definitions: Mapping[str, QueueDefinition], queue: str) -> None:
    for type in definitions[queue].types:
        await returned(definitions[queue], type, sample(queue, type))


async def test_a_bulk_job_says_what_came_of_each_mail(definitions: Mapping[str, QueueDefinition]) -> None:
    data = sample("email", "bulk")
    data["recipients"].append({"email": "nobody", "name": "N"})
    await returned(definitions["email"], "bulk", data)


async def test_a_campaigns_second_job_says_so(definitions: Mapping[str, QueueDefinition]) -> None:
    for _ in range(2):
        await returned(definitions["email"], "campaign", sample("email", "campaign"))


@pytest.mark.parametrize("format", ["json", "pdf"])
async def test_reports_return_what_the_page_says(
    definitions: Mapping[str, QueueDefinition], database: Database, format: str
) -> None:
    async with database.session() as session:
        firm, _, _ = await add_books(session)
    for type in definitions["report"].types:
        data = sample("report", type) | {"firmId": firm.id, "format": format}
        if type == "custom":
            data["query"] = (
                {"source": "invoices"} if format == "json" else {"source": "invoices", "columns": ["number"]}
            )
        await returned(definitions["report"], type, data)


@pytest.mark.parametrize("type", ["in-app", "sms"])
async def test_notifications_return_what_the_page_says(
    definitions: Mapping[str, QueueDefinition], type: str
) -> None:
    await returned(definitions["notification"], type, sample("notification", type))


def literals() -> Iterator[tuple[str, ...]]:
    """The fields of each result in the code of ``sync``: of its dictionaries that begin with ``success``."""
    for path in Path(toril.queues.sync.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict):
                keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
                if keys[:1] == ["success"]:
                    yield tuple(map(str, keys))


def test_syncs_return_what_the_page_says() -> None:
    """Their vendors are away here, so the code is read instead of run."""
    said = {tuple(get_type_hints(result)) for (queue, _), result in RESULTS.items() if queue == "sync"}
    assert said == set(literals())


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(before + MARK + reference_of(described()), encoding="utf-8")
