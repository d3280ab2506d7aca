"""The API's description, without what the framework says of itself and this application never does."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

#: Parts that only describe the framework's own answer to a bad request, which here is a 400 in the API's envelope.
_NOT_OURS: Final = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Let ``app`` describe itself without answers with the status 422."""
    framework = app.openapi

    def description() -> dict[str, Any]:
        known = app.openapi_schema is not None
        schema = framework()
        if not known:
            for path in schema.get("paths", {}).values():
                for operation in path.values():
                    operation.get("responses", {}).pop("422", None)
            for name in _NOT_OURS:
                schema.get("components", {}).get("schemas", {}).pop(name, None)
        return schema

    app.openapi = description  # type: ignore[method-assign]
