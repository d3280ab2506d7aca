"""Bad payloads of every type: refused by the service, and failed at once when they were added past it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.all_queues import all_queues
from tests.support.payload_cases import SAMPLES, BadCase, bad_cases, sample
from tests.support.until import until

from toril.db.session import Database
from toril.engine.queue import DEFAULT_NAME
from toril.errors import PayloadError, QueueUnavailableError
from toril.queues.base import QueueDefinition
from toril.queues.email.payloads import BulkRecipient
from toril.queues.registry import make_worker
from toril.service import QueueService

#: Of JSON; longer ones are checked, and not added to a queue.
MAX_RAW = 200_000

QUEUES = ("cleanup", "email", "notification", "pdf", "report", "sync")


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, QueueDefinition]:
    """For tests that work no job."""
    folder = tmp_path_factory.mktemp("payloads")
    return all_queues(Database(home=folder), folder)


@pytest.fixture
async def service(server_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[QueueService]:
    """Over records without tables: a bad job that touched them would fail in another way."""
    async with Database(home=tmp_path) as database:
        definitions = all_queues(database, tmp_path).values()
        async with QueueService(definitions, url=server_url, prefix=prefix) as opened:
            yield opened


#: What no model alone forbids, beside what ``bad_cases`` makes of the models.
MORE = [
    ("email", "transactional", "html", {"to": "a@b.example", "subject": "s"}),
    ("email", "transactional", "to", {"to": "nobody", "subject": "s", "text": "t"}),
    ("email", "template", "templateData.name", {"to": "a@b.example", "templateId": "welcome", "templateData": {}}),
    ("email", "bulk", "subject", sample("email", "bulk") | {"subject": "{{nobodyHasIt}}"}),
    ("notification", "in-app", "firmId", sample("notification", "in-app") | {"firmId": "firm-1"}),
    ("notification", "sms", "phoneNumber", {"phoneNumber": "12", "message": "m"}),
    ("notification", "webhook", "webhookUrl", {"webhookUrl": "ftp://x.example", "payload": {}}),
    ("report", "financial", "endDate", sample("report", "financial") | {"endDate": "2025-12-31"}),
    ("report", "data-export", "exportType", sample("report", "data-export") | {"exportType": "users"}),
    ("sync", "currency-rates", "baseCurrency", {"baseCurrency": "XXX"}),
    ("sync", "bank-transactions", "startDate", sample("sync", "bank-transactions") | {"startDate": "tomorrow"}),
]  # fmt: skip


#: What one of many is, which a job that has it counts as failed when its turn comes, and does for the others.
ONE_OF_MANY = (("bulk-push", "users.0.subscription."),)


def cases(definitions: Mapping[str, QueueDefinition]) -> Iterator[BadCase]:
    for case in bad_cases(definitions):
        if not any(case.type == type and case.path.startswith(path) for type, path in ONE_OF_MANY):
            yield case
    for queue, type, path, data in MORE:
        yield BadCase(queue=queue, type=type, what="meaningless", path=path, data=data)


def without_type(queue: str) -> list[Any]:
    """Data of jobs whose type cannot be told."""
    return [
        {"type": "unheard-of", "data": {}},
        {"data": {}},
        {"type": 7, "data": {}},
        {"type": ["a"], "data": {}},
        {},
        [],
        "text",
        None,
    ]


def names(found: str | None, path: str) -> bool:
    """Whether an error's path is that of the field, or of a part of it."""
    return found is not None and (found == path or found.startswith(f"{path}."))


def test_there_is_good_data_of_every_type(definitions: Mapping[str, QueueDefinition]) -> None:
    for queue, definition in definitions.items():
        for type in definition.types:
            definition.check({"type": type, "data": sample(queue, type)})
    known = {(queue, type) for queue, definition in definitions.items() for type in definition.types}
    assert set(SAMPLES) <= known
    assert set(definitions) == set(QUEUES)


@pytest.mark.parametrize("queue", QUEUES)
def test_the_table_has_every_rule_of_the_models(
    definitions: Mapping[str, QueueDefinition], queue: str
) -> None:
    made = {(case.type, case.path, case.what) for case in bad_cases({queue: definitions[queue]})}
    for type, job_type in definitions[queue].types.items():
        schema = job_type.payload.model_json_schema(by_alias=True)
        assert (type, "unheardOf", "unknown") in made
        for field in schema.get("required", ()):
            assert (type, field, "missing") in made
        for field, rules in schema["properties"].items():
            assert (type, field, "of a wrong type") in made, field
            if "maxLength" in rules:
                assert (type, field, "too long") in made


def test_no_model_lets_unknown_fields_pass_but_the_values_of_placeholders(
    definitions: Mapping[str, QueueDefinition],
) -> None:
    open_models = {
        name
        for definition in definitions.values()
        for job_type in definition.types.values()
        for schema in (job_type.payload.model_json_schema(),)
        for name, model in {"": schema, **schema.get("$defs", {})}.items()
        if model.get("type") == "object" and model.get("additionalProperties") is not False
    }
    assert open_models == {BulkRecipient.__name__}


@pytest.mark.parametrize("queue", QUEUES)
async def test_the_service_refuses_it_and_names_the_field(
    definitions: Mapping[str, QueueDefinition], queue: str
) -> None:
    wrong = []
    nowhere = {"url": "unix:///nowhere.sock", "patience": 0.01}
    async with QueueService([definitions[queue]], **nowhere) as service:
        for case in cases({queue: definitions[queue]}):
            if case.queue != queue:
                continue
            try:
                await service.add_job(queue, {"type": case.type, "data": case.data})
            except PayloadError as error:
                if not names(error.field, case.path) or case.path not in str(error):
                    wrong.append((str(case), error.field, str(error)[:300]))
            except QueueUnavailableError:
                wrong.append((str(case), None, "accepted"))
        for data in without_type(queue):
            with pytest.raises(PayloadError) as caught:
                await service.add_job(queue, data)
            assert caught.value.field == "type"
    assert wrong == []


@pytest.mark.parametrize("queue", QUEUES)
async def test_a_job_added_past_the_service_fails_at_once_and_names_the_field(
    service: QueueService, queue: str
) -> None:
    opened = service.queue(queue)
    table: list[tuple[str, Any, str]] = []
    for case in cases({queue: service.definitions[queue]}):
        if case.queue == queue:
            data = {"type": case.type, "data": case.data}
            if len(json.dumps(data)) <= MAX_RAW:
                table.append((str(case), data, case.path))
    table += [(repr(data), data, "type") for data in without_type(queue)]
    jobs = await opened.add_bulk(
        [(DEFAULT_NAME, data, {"attempts": 3, "remove_on_fail": False}) for _, data, _ in table]
    )

    async def all_failed() -> bool:
        return (await opened.counts("failed"))["failed"] == len(jobs)

    async with make_worker(service.definitions[queue], opened):
        await until(all_failed, within_s=60)
    wrong = []
    for (name, _, path), job in zip(table, jobs, strict=True):
        failed = await opened.get_job(job.id)
        assert failed is not None
        if failed.attempts_made != 1 or path not in (failed.failed_reason or ""):
            wrong.append((name, failed.attempts_made, failed.failed_reason))
    assert wrong == []
