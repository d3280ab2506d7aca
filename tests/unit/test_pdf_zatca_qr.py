"""The QR code of a Saudi tax invoice: its fields, byte by byte, and the picture."""

from __future__ import annotations

import base64
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.errors import OptionError
from toril.queues.pdf.fields import RIYADH
from toril.queues.pdf.zatca_qr import decode_tlv, encode_tlv, phase_one_code, qr_picture


def test_the_code_of_phase_one_has_five_fields() -> None:
    code = phase_one_code(
        seller="Bobs Records",
        vat_number="310122393500003",
        issued_at=datetime(2022, 4, 25, 15, 30, tzinfo=RIYADH),
        total="1000.00",
        vat="150.00",
    )

    assert base64.b64decode(code) == (
        b"\x01\x0cBobs Records\x02\x0f310122393500003\x03\x132022-04-25T15:30:00\x04\x071000.00\x05\x06150.00"
    )


def test_a_length_counts_bytes_and_not_letters() -> None:
    code = encode_tlv({1: "عدل"})

    assert base64.b64decode(code) == b"\x01\x06" + "عدل".encode()


@given(st.dictionaries(st.integers(1, 255), st.text(max_size=60)))
def test_what_is_encoded_is_decoded(values: dict[int, str]) -> None:
    decoded = decode_tlv(encode_tlv(values))

    assert {tag: value.decode() for tag, value in decoded.items()} == values


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(OptionError, match="field 1 has 256 bytes"):
        encode_tlv({1: "ع" * 128})


@pytest.mark.parametrize(
    ("code", "message"),
    [
        pytest.param("?", "not base64", id="no base64"),
        pytest.param(base64.b64encode(b"\x01").decode(), "ends inside field 1", id="no length"),
        pytest.param(base64.b64encode(b"\x01\x05abc").decode(), "ends inside field 1", id="cut"),
    ],
)
def test_a_code_that_is_cut_is_refused(code: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        decode_tlv(code)


def test_the_picture_is_a_png_without_a_border() -> None:
    prefix, content = qr_picture("AQ==").split(",")

    assert prefix == "data:image/png;base64"
    png = base64.b64decode(content)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[16:24] == (84).to_bytes(4) + (84).to_bytes(4)  # version 1: 21 modules of 4 pixels
