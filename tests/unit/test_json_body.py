"""Bodies of JSON: read, refused unread, and refused as no JSON."""

from __future__ import annotations

import json

import pytest

from toril.web.json_body import MOST_VALUES, TooManyValues, read_json


@pytest.mark.parametrize(
    "value",
    [
        [1] * (MOST_VALUES - 2),
        {"html": ',[{"' * MOST_VALUES},
        {"html": "\\" * 3 * MOST_VALUES, "b": '\\",' * MOST_VALUES},
        [{"name": "a, b", "email": "a@b.example"}] * (MOST_VALUES // 3 - 1),
        "," * 300_000 + '"' + "," * 300_000,
        [10**30, "\ud800"],
    ],
    ids=["values", "text", "escapes", "recipients", "one text", "past 64 bits"],
)
def test_what_has_a_use_is_read(value: object) -> None:
    assert read_json(json.dumps(value).encode("utf-8", "surrogatepass")) == value


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b"1," * MOST_VALUES + b"1]",
        b"[" + b"[]," * MOST_VALUES + b"[]]",
        b"[" * (MOST_VALUES + 1),
        b'{"a": "' + b"," * MOST_VALUES + b'", "b": [' + b"{}," * MOST_VALUES + b"1]}",
        b"," * (MOST_VALUES + 1) + b'"a' * 4 * MOST_VALUES,
        b'["' + b'\\"' * MOST_VALUES + b'\\\\"' + b",1" * (MOST_VALUES + 1) + b"]",
    ],
    ids=["numbers", "lists", "deep", "behind a text", "texts", "behind escapes"],
)
def test_what_has_more_values_is_not_read(text: bytes) -> None:
    with pytest.raises(TooManyValues, match="more than 200,000 values"):
        read_json(text)


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b'{"a": 1e999}', b'"\xff"', b"[" * 100_000])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        read_json(text)
