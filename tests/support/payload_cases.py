"""Good data for every type of the ready-made queues, and bad data made of it by the rules of the models."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.email_jobs import TEMPLATE_DATA, bulk, campaign, transactional
from tests.support.notification_jobs import notification
from tests.support.pdf_jobs import FIRM, contract_job, custom_job, invoice_job, report_job, statement_job

from toril.queues.base import JobType, QueueDefinition

_PERIOD = {"firmId": FIRM, "startDate": "2026-01-01", "endDate": "2026-03-31"}
_QUERY = {
    "source": "invoices",
    "columns": ["number"],
    "filters": [{"column": "number", "operator": "eq", "value": "1"}],
}

#: Good data of each type that has required fields; the others take an empty object.
SAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("email", "transactional"): transactional(
        attachments=[{"filename": "a.txt", "content": "eA=="}], tags=[{"name": "a", "value": "b"}]
    )["data"],
    ("email", "bulk"): bulk()["data"],
    ("email", "template"): {
        "to": "a@b.example",
        "templateId": "welcome",
        "templateData": TEMPLATE_DATA["welcome"],
    },
    ("email", "campaign"): campaign()["data"],
    **{
        ("notification", type): notification(type)["data"]
        for type in ("push", "in-app", "sms", "webhook", "bulk-push")
    },
    ("pdf", "invoice"): invoice_job()["data"],
    ("pdf", "report"): report_job()["data"],
    ("pdf", "statement"): statement_job()["data"],
    ("pdf", "contract"): contract_job()["data"],
    ("pdf", "custom"): custom_job("<p>مرحبا</p>")["data"],
    ("report", "financial"): _PERIOD,
    ("report", "analytics"): _PERIOD,
    ("report", "time-utilization"): _PERIOD,
    ("report", "client-aging"): {"firmId": FIRM},
    ("report", "custom"): {"firmId": FIRM, "name": "Big ones", "query": _QUERY},
    ("report", "data-export"): {"firmId": FIRM, "exportType": "invoices", "format": "csv"},
    ("sync", "whatsapp-messages"): {"firmId": FIRM, "phoneNumberId": "106540352242922"},
    ("sync", "bank-transactions"): {"firmId": FIRM, "bankAccountId": FIRM},
    ("sync", "payment-status"): {"firmId": FIRM, "paymentId": FIRM, "paymentProvider": "stripe"},
    ("sync", "mudad-payment"): {"firmId": FIRM, "paymentId": FIRM},
    ("sync", "wathq-contract"): {"firmId": FIRM, "contractId": FIRM},
    ("sync", "zatca-invoice"): {"firmId": FIRM, "invoiceId": FIRM},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCase:
    """Data that is not acceptable, what is wrong with it, and the path that the error names."""

    queue: str
    type: str
    what: str
    path: str
    data: Any

    def __str__(self) -> str:
        return f"{self.queue}-{self.type}-{self.path}-{self.what}"


def sample(queue: str, type: str) -> dict[str, Any]:
    """Good data of a type."""
    return copy.deepcopy(SAMPLES.get((queue, type), {}))


def bad_cases(definitions: Mapping[str, QueueDefinition]) -> Iterator[BadCase]:
    """Everything the models forbid, one at a time, in each object that the good data has."""
    for queue, definition in definitions.items():
        for job_type in definition.types.values():
            for what, path, data in _of_type(job_type, sample(queue, job_type.name)):
                yield BadCase(queue=queue, type=job_type.name, what=what, path=path, data=data)


def _of_type(job_type: JobType, good: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    yield "no object", "data", [good]
    schema = job_type.payload.model_json_schema()
    for path, model in _objects(schema, schema, good, ()):
        named = ".".join(map(str, path))
        at = f"{named}." if named else ""
        if model.get("additionalProperties") is False:
            yield "unknown", f"{at}unheardOf", _changed(good, path, "unheardOf", 1)
        for name, rules in model["properties"].items():
            if name in model.get("required", ()):
                yield "missing", f"{at}{name}", _changed(good, path, name, ...)
            for what, value in _bad_values(rules):
                yield what, f"{at}{name}", _changed(good, path, name, value)


def _objects(
    schema: dict[str, Any], model: dict[str, Any], value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """The objects in the good data that a model describes, the first of each list, with their paths."""
    yield path, model
    for name, rules in model["properties"].items():
        for rule in rules.get("anyOf", [rules]):
            inner = value.get(name)
            step: tuple[str | int, ...] = (name,)
            if "items" in rule and isinstance(inner, list) and inner:
                rule, inner, step = rule["items"], inner[0], (name, 0)
            # Words may be an object or a plain text; the errors of such fields are tested where they are.
            if "$ref" in rule and isinstance(inner, dict) and not rule["$ref"].endswith("/Words"):
                yield from _objects(
                    schema, schema["$defs"][rule["$ref"].rpartition("/")[2]], inner, (*path, *step)
                )


def _bad_values(rules: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    options = rules.get("anyOf", [rules])
    taken = {"object" if "$ref" in option else option.get("type") for option in options}
    if None not in taken:  # else anything goes
        wrong = [("object", {"x": 1}), ("array", [[1]]), ("boolean", True)]
        yield "of a wrong type", next(value for kind, value in wrong if kind not in taken)
    if len([option for option in options if option.get("type") != "null"]) > 1:
        return  # what is too long for one kind may fit another
    for option in options:
        if "maxLength" in option:
            yield "too long", "x" * (option["maxLength"] + 1)
        elif (most := re.search(r"\{(?:\d+,)?(\d+)\}\$$", option.get("pattern", ""))) is not None:
            yield "too long", "5" * (int(most[1]) + 1)
        if "maximum" in option:
            yield "too large", option["maximum"] + 1
        if "minimum" in option:
            yield "too small", option["minimum"] - 1
        if "maxItems" in option:
            yield "too many", [{}] * (option["maxItems"] + 1)
        if "enum" in option:
            yield "no choice", "unheard-of"


def _changed(good: dict[str, Any], path: tuple[str | int, ...], name: str, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(good)
    at: Any = data
    for step in path:
        at = at[step]
    if value is ...:
        del at[name]
    else:
        at[name] = value
    return data
