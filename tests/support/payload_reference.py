"""Writes the reference of payloads and results from the models themselves."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import AliasChoices, BaseModel
from tests.support.job_results import result_type

from toril.queues.base import QueueDefinition
from toril.queues.registry import DEFAULT_JOB_OPTIONS

_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    type(None): "null",
    Any: "anything",
}


def reference_of(definitions: Mapping[str, QueueDefinition]) -> str:
    """The generated part of the page."""
    return "".join("".join(_queue(definitions[name])) for name in sorted(definitions))


def _queue(definition: QueueDefinition) -> Iterator[str]:
    yield f"\n## {definition.name}\n\n{_defaults(definition)}\n"
    objects: dict[str, type[BaseModel]] = {}
    for job_type in definition.types.values():
        yield f"\n### {definition.name}: {job_type.name}\n\n{job_type.summary}.\n\n"
        yield _fields(job_type.payload, definition.name) or "It carries nothing.\n"
        yield f"\n{_result(result_type(definition.name, job_type))}"
        objects |= {model.__name__: model for model in _inner(job_type.payload)}
    for name in sorted(objects):
        model = objects[name]
        yield f"\n### {definition.name}: {name}\n\n{_about(model)}\n\n{_fields(model, definition.name)}"


def _defaults(definition: QueueDefinition) -> str:
    options = {**DEFAULT_JOB_OPTIONS, **definition.job_options}
    backoff, done, failed = options["backoff"], options["removeOnComplete"], options["removeOnFail"]
    text = f"{options['attempts']} attempts, {backoff['type']} backoff of {backoff['delay'] / 1000:g} s"
    if "timeout" in options:
        text += f", stopped after {options['timeout'] / 1000:g} s"
    text += f"; completed jobs are kept for {done['age'] / 3600:g} h and at most {done['count']:,} of them"
    return f"{text}, failed ones for {failed['age'] / 3600:g} h."


def _inner(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models in a model's fields, all the way down."""
    seen: set[type[BaseModel]] = {model}

    def walk(annotation: Any) -> Iterator[type[BaseModel]]:
        is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        if is_model and annotation not in seen:
            seen.add(annotation)
            yield annotation
            for field in annotation.model_fields.values():
                yield from walk(field.annotation)
        for part in get_args(annotation):
            yield from walk(part)

    for field in model.model_fields.values():
        yield from walk(field.annotation)


def _fields(model: type[BaseModel], queue: str) -> str:
    schema = model.model_json_schema()
    if "$ref" in schema:  # of a model that has itself in it
        schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    notes = _notes(model)
    rows = []
    for python_name, field in model.model_fields.items():
        alias = field.validation_alias
        name = str(alias.choices[0] if isinstance(alias, AliasChoices) else alias or python_name)
        rule = schema["properties"][name]
        default = (
            "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        )
        also = [f"`{other}`" for other in alias.choices[1:]] if isinstance(alias, AliasChoices) else []
        note = notes.get(python_name, "") + (f" May be called {', '.join(also)} too." if also else "")
        rows.append(_row(f"`{name}`", _takes(rule, queue), default, note.strip()))
    extra = "Any other fields are values too.\n" if model.model_config.get("extra") == "allow" else ""
    head = "| field | takes | default | |\n| --- | --- | --- | --- |\n"
    return (head + "".join(rows) if rows else "") + (f"\n{extra}" if extra else "")


def _row(*cells: str) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells) + "\n"


def _default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, BaseModel):
        return "`{}`"
    return f"`{json.dumps(value, default=str, ensure_ascii=False)}`"


def _takes(rule: Mapping[str, Any], queue: str) -> str:
    """What a value may be, from its JSON schema."""
    if "anyOf" in rule:
        return " or ".join(_takes(each, queue) for each in rule["anyOf"] if each.get("type") != "null")
    if "$ref" in rule:
        name = rule["$ref"].rpartition("/")[2]
        return f"[{name}](#{queue}-{name.lower()})"
    if "enum" in rule:
        return "one of " + ", ".join(f"`{choice}`" for choice in rule["enum"])
    kind = rule.get("type", "anything")
    if kind == "array":
        inner = rule.get("items", {})
        what = _takes(inner, queue) if inner else "anything"
        return f"list of {_range(rule, 'Items', '')}{what}"
    if kind == "object":
        inner = rule.get("additionalProperties")
        of = f" of {_takes(inner, queue)}" if isinstance(inner, dict) and inner else ""
        return f"object{of}"
    if kind == "string":
        if "format" in rule:
            return {"date": "day", "date-time": "time"}[rule["format"]]
        if "pattern" in rule:
            return f"text like `{rule['pattern']}`".replace("|", "\\|")
        limits = _range(rule, "Length", "characters")
        return f"text of {limits}" if limits else "text"
    if kind in ("integer", "number"):
        least, most = rule.get("minimum"), rule.get("maximum")
        name = "whole number" if kind == "integer" else "number"
        if least is not None and most is not None:
            return f"{name} from {least:,} to {most:,}"
        return name
    return "true or false" if kind == "boolean" else "anything"


def _range(rule: Mapping[str, Any], of: str, unit: str) -> str:
    least, most = rule.get(f"min{of}"), rule.get(f"max{of}")
    if least is None and most is None:
        return ""
    text = (
        f"at least {least:,}"
        if most is None
        else f"at most {most:,}"
        if not least
        else f"{least:,} to {most:,}"
    )
    return f"{text} {unit}" if unit else f"{text} × "


def _about(model: type[BaseModel]) -> str:
    """The docstring without its list of attributes."""
    return _text((inspect.getdoc(model) or "").partition("\n\nAttributes:")[0])


def _notes(model: type[BaseModel]) -> dict[str, str]:
    """What the source says of each field: in the list of attributes, or beside it after ``#:``."""
    notes: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not (issubclass(each, BaseModel) and each is not BaseModel):
            continue
        for line in inspect.getsource(each).splitlines():
            if found := re.match(r"\s+(\w+): .*#: (.+)$", line):
                notes[found[1]] = _text(found[2])
        listed = (inspect.getdoc(each) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        for names, text in re.findall(r"^ {4}(\w[\w, ]*): ((?:.|\n(?! {4}\w))+)", listed, re.MULTILINE):
            notes |= dict.fromkeys(names.split(", "), _text(text))
    return {name: text[:1].upper() + text[1:] for name, text in notes.items()}


def _text(text: str) -> str:
    """A docstring's text as Markdown."""
    return re.sub(r"\s*\n\s*", " ", text).replace("``", "`").replace("|", "\\|").strip()


def _result(result: type) -> str:
    rows = []
    for name, annotation in get_type_hints(result, include_extras=True).items():
        maybe = get_origin(annotation) is NotRequired
        inner = get_args(annotation)[0] if maybe else annotation
        rows.append(f"| `{name}` | {_type(inner)}{', if there is one' if maybe else ''} |\n")
    about = _text(vars(result).get("__doc__") or "")
    return "It returns\n\n| field | |\n| --- | --- |\n" + "".join(rows) + (f"\n{about}\n" if about else "")


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if is_typeddict(annotation):
        hints = get_type_hints(annotation, include_extras=True)
        names = [f"`{name}`{'?' if get_origin(kind) is NotRequired else ''}" for name, kind in hints.items()]
        return f"object of {', '.join(names)}"
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "object" if arguments[1] is Any else f"object of {_type(arguments[1])}"
    if origin is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in arguments)
    if origin is Union or arguments:
        return " or ".join(map(_type, arguments))
    return _NAMES[annotation]
