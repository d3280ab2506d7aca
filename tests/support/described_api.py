"""The operations of an API as its own description has them, and bodies that fit the description."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    document: dict[str, Any]
    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["paths"][self.path][self.method.lower()]
        return found

    @property
    def is_public(self) -> bool:
        """Whether it says that anybody may call it."""
        return not self.described.get("security")

    @property
    def has_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH")

    @property
    def is_stream(self) -> bool:
        return any(
            "text/event-stream" in each.get("content", {}) for each in self.described["responses"].values()
        )

    def names(self, place: str) -> list[str]:
        """Of its parameters in the path or the query."""
        return [each["name"] for each in self.described.get("parameters", ()) if each["in"] == place]

    def choices(self, name: str) -> list[str]:
        """What a parameter may be, if it is one of few words."""
        schema = next(each["schema"] for each in self.described["parameters"] if each["name"] == name)
        return next(
            (
                list(map(str, found))
                for each in _options(self.document, schema)
                if (found := each.get("enum"))
            ),
            [],
        )

    def url(self, value_of: Callable[[str], str]) -> str:
        """The path with its parameters filled in."""
        return re.sub(r"\{(\w+)\}", lambda match: value_of(match[1]), self.path)

    def body(self) -> Any:
        """A body that fits the description; None if there is none."""
        content = self.described.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in content:
            return content["example"]
        return sample_of(self.document, content["schema"]) if "schema" in content else None


def operations(document: dict[str, Any]) -> list[Operation]:
    """All of them."""
    return [
        Operation(document, method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if method in _METHODS
    ]


def _options(document: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return [
        inner
        for each in schema.get("anyOf", [schema])
        for inner in ([each] if each is schema else _options(document, each))
    ]


def sample_of(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value that fits a schema, as far as its shape goes."""
    schema = next((each for each in _options(document, schema) if each.get("type") != "null"), {})
    for known in ("example", "const", "default"):
        if schema.get(known) is not None:
            return schema[known]
    if schema.get("examples") or schema.get("enum"):
        return (schema.get("examples") or schema["enum"])[0]
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: sample_of(document, inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample_of(document, schema.get("items", {}))]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    return {"boolean": True, "string": "x" * max(schema.get("minLength", 1), 1)}[kind]
