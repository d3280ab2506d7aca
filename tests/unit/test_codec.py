from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.engine.codec import decode, encode, to_text
from toril.errors import DataError

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(_json)
def test_json_values_come_back_as_they_were(value: Any) -> None:
    assert decode(encode(value)) == value
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "spot"),
    [
        ({"a": [1, {"b": object()}]}, r"data\.a\[1\]\.b is not JSON"),
        ({"a": {1: 2}}, r"data\.a is not JSON"),
        ([{1, 2}], r"data\[0\] is not JSON"),
        (2**70, "data is not JSON"),
        ("\ud800", "data is not JSON"),
        ({"price": float("nan")}, r"data\.price is NaN"),
        ([1.0, float("inf"), None], r"data\[1\] is NaN or infinite"),
    ],
)
def test_what_is_not_json_is_named_by_its_path(value: Any, spot: str) -> None:
    with pytest.raises(DataError, match=spot):
        encode(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(DataError, match="not JSON"):
        encode(loop)


def test_data_beyond_the_limit_is_refused_with_both_sizes() -> None:
    with pytest.raises(DataError, match=r"102 bytes of JSON, more than the 100"):
        encode("x" * 100, limit=100)
    assert len(encode("x" * 98, limit=100)) == 100


def test_what_node_may_write_is_read() -> None:
    assert decode(b'"\\ud800"') == "\ud800"
    # Integers beyond 64 bit become floats, as Node reads them.
    assert decode(b"123456789012345678901234567890") == 123456789012345678901234567890.0


def test_bytes_that_are_not_utf8_are_shown() -> None:
    assert to_text(b"a\xff") == "a\\xff"


def test_the_word_null_in_a_text_costs_no_second_look_at_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    monkeypatch.setattr("toril.engine.codec._has_bad_number", lambda value: looked.append(value) or False)
    encode([{"note": "this is not null at all"}] * 100)
    assert looked == []
    encode([None])
    assert len(looked) == 1
