"""Answers compared with the API's description, and with what holds for all answers."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import jsonschema_rs

#: Answers that every path may give, which the description does not repeat: no such method.
_EVERYWHERE = frozenset({405})

_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


class ApiSchema:
    """An OpenAPI 3.1 document, to look operations up in and to check answers with.

    Args:
        document: as ``/api/openapi.json`` gives it.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._validators: dict[tuple[str, str, str, str], jsonschema_rs.Validator] = {}

    @property
    def operations(self) -> set[tuple[str, str]]:
        """Method and path of each operation; methods in capitals."""
        paths = self.document["paths"]
        return {(method.upper(), path) for path, methods in paths.items() for method in methods}

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """What the description says of a method of a path, which is as the description has it."""
        found: dict[str, Any] = self.document["paths"][path][method.lower()]
        return found

    def check(self, method: str, path: str, response: httpx.Response) -> None:
        """Fail unless an answer is one that the description tells of, and has what all answers have.

        Args:
            path: as the description has it.
            response: its body has been read.
        """
        check_any_answer(response)
        status = response.status_code
        if status in _EVERYWHERE:
            return
        documented = self.operation(method, path)["responses"]
        assert str(status) in documented, f"{method} {path}: {status} is not described: {response.text[:300]}"
        kinds = documented[str(status)].get("content", {})
        kind = response.headers.get("content-type", "").partition(";")[0]
        if not kinds or not response.content:
            return
        if kind not in kinds:
            assert "application/octet-stream" in kinds, (
                f"{method} {path}: {status} as {kind!r} is not described"
            )
            return
        if kind == "application/json" and "schema" in kinds[kind]:
            errors = list(self._validator(method, path, str(status), kind).iter_errors(response.json()))
            assert not errors, f"{method} {path}: {status}: {errors[0]}"

    def _validator(self, method: str, path: str, status: str, kind: str) -> jsonschema_rs.Validator:
        key = (method, path, status, kind)
        if key not in self._validators:
            schema = self.operation(method, path)["responses"][status]["content"][kind]["schema"]
            whole = {**schema, "components": self.document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        return self._validators[key]


def check_any_answer(response: httpx.Response) -> None:
    """Fail unless an answer has the headers that all have, and, if it tells of an error, the envelope of errors."""
    headers, path = response.headers, response.request.url.path
    assert response.status_code != 500, f"{path}: {response.text[:500]}"
    for name, value in _ALWAYS.items():
        assert headers.get(name) == value, f"{path}: {name} is {headers.get(name)!r}"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert _ID.fullmatch(headers["x-request-id"])
    if path.startswith("/api/"):
        assert headers["cache-control"] == "no-store", f"{path}: {headers['cache-control']}"
    if response.status_code == 405:
        assert headers["allow"]
    if response.status_code == 401:
        assert headers["www-authenticate"] == "Bearer"
    if response.status_code in (429, 503) and not path.startswith("/health"):
        assert int(headers["retry-after"]) > 0
    if response.status_code >= 400 and response.content and not path.startswith("/health"):
        error_of(response)


def error_of(response: httpx.Response, status: int | None = None) -> dict[str, Any]:
    """The error in an answer, which must have the form that all errors have.

    Args:
        status: which it must have.
    """
    assert status in (None, response.status_code), (
        f"not {status}: {response.status_code} {response.text[:500]}"
    )
    assert response.headers["content-type"] == "application/json", response.text[:300]
    body = json.loads(response.content)
    assert body.keys() == {"success", "error"}, body
    assert body["success"] is False
    error: dict[str, Any] = body["error"]
    assert {"code", "message"} <= error.keys() <= {"code", "message", "details"}, error
    assert re.fullmatch(r"[a-z][a-z0-9_]*", error["code"]), error
    assert isinstance(error["message"], str)
    assert error["message"]
    if "details" in error:
        assert isinstance(error["details"], list), error
        assert error["details"]
        for each in error["details"]:
            assert each.keys() == {"field", "message"}, error
            assert all(isinstance(text, str) and text for text in each.values()), error
    return error
