"""The API's description: what the framework knows, how to sign in, and nothing that this application never does."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

#: Parts that only describe the framework's own answer to a bad request, which here is a 400 in the API's envelope.
_NOT_OURS: Final = ("HTTPValidationError", "ValidationError")

#: Where the 401 is about a password or a token in the body.
_SIGNS_IN: Final = ("/api/auth/login", "/api/auth/refresh")

_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A user's access token from `/api/auth/login`, or an API key.",
}


def describe(app: FastAPI) -> None:
    """Let ``app`` describe itself with its bearer tokens, and without answers with the status 422."""
    framework = app.openapi

    def description() -> dict[str, Any]:
        known = app.openapi_schema is not None
        schema = framework()
        if not known:
            for path, methods in schema.get("paths", {}).items():
                for operation in methods.values():
                    answers = operation.get("responses", {})
                    answers.pop("422", None)
                    if "401" in answers and path not in _SIGNS_IN:
                        operation["security"] = [{"bearer": []}]
            parts = schema.setdefault("components", {})
            parts["securitySchemes"] = {"bearer": _BEARER}
            for name in _NOT_OURS:
                parts.get("schemas", {}).pop(name, None)
        return schema

    app.openapi = description  # type: ignore[method-assign]
