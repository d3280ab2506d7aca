"""Phone numbers as people write them, and the segments of an SMS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.errors import OptionError
from toril.queues.notification.phones import masked, to_e164
from toril.queues.notification.segments import Segments, count_segments


@pytest.mark.parametrize(
    "text",
    [
        "0512345678",
        "512345678",
        "966512345678",
        "+966512345678",
        "00966512345678",
        "+966 51 234 5678",
        "+966 (0) 51-234-5678",
        "05.1234.5678",
        "٠٥١٢٣٤٥٦٧٨",
        "+٩٦٦٥١٢٣٤٥٦٧٨",
        "۰۵۱۲۳۴۵۶۷۸",
        "\u200e+966512345678\u202c",
    ],
)
def test_a_saudi_mobile_number_is_the_same_however_it_is_written(text: str) -> None:
    assert to_e164(text) == "+966512345678"


@pytest.mark.parametrize("text", ["+971501234567", "00971501234567", "+971 50 123 4567"])
def test_other_countries_come_with_their_code(text: str) -> None:
    assert to_e164(text) == "+971501234567"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "0112345678",
        "05123456789",
        "051234567",
        "+966112345678",
        "971501234567",
        "+0512345678",
        "+1234567",
        "+1234567890123456",
        "0512345678x",
        "++966512345678",
        "05 12 34 56 7²",
    ],
)
def test_what_cannot_get_an_sms_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        to_e164(text)


@given(st.text(max_size=30))
def test_whatever_comes_out_is_e164_and_stays_so(text: str) -> None:
    try:
        number = to_e164(text)
    except OptionError:
        return
    assert number[0] == "+"
    assert number[1:].isascii()
    assert number[1:].isdigit()
    assert 9 <= len(number) <= 16
    assert to_e164(number) == number


def test_logs_show_the_end_of_a_number() -> None:
    assert masked("+966512345678") == "…5678"


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        pytest.param("", Segments("GSM-7", 1), id="empty"),
        pytest.param("a" * 160, Segments("GSM-7", 1), id="one"),
        pytest.param("a" * 161, Segments("GSM-7", 2), id="two"),
        pytest.param("a" * 306, Segments("GSM-7", 2), id="two, full"),
        pytest.param("a" * 307, Segments("GSM-7", 3), id="three"),
        pytest.param("€" * 80, Segments("GSM-7", 1), id="double"),
        pytest.param("€" * 81, Segments("GSM-7", 2), id="double, two"),
        # 152 places are used of 153, as half a sign cannot stand at the end.
        pytest.param("€" * 153, Segments("GSM-7", 3), id="double, with a gap"),
        pytest.param("ع" * 70, Segments("UCS-2", 1), id="Arabic"),
        pytest.param("ع" * 71, Segments("UCS-2", 2), id="Arabic, two"),
        pytest.param("ع" * 134, Segments("UCS-2", 2), id="Arabic, two, full"),
        pytest.param("ع" * 135, Segments("UCS-2", 3), id="Arabic, three"),
        pytest.param("a" * 70 + "ع", Segments("UCS-2", 2), id="one Arabic letter"),
        pytest.param("😀" * 35, Segments("UCS-2", 1), id="emoji"),
        pytest.param("😀" * 67, Segments("UCS-2", 3), id="emoji, with a gap"),
        pytest.param("ç", Segments("UCS-2", 1), id="small c with a cedilla is not in the alphabet"),
    ],
)
def test_segments_are_counted_as_they_are_paid(text: str, segments: Segments) -> None:
    assert count_segments(text) == segments
