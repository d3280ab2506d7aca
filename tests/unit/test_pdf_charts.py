"""Charts: round numbers on their axes, and shapes where the values say."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.queues.pdf.charts import DrawnChart, draw
from toril.queues.pdf.charts.canvas import in_two_lines, shortened, text_width
from toril.queues.pdf.charts.scale import scale_of
from toril.queues.pdf.payloads import Chart
from toril.queues.pdf.printer import Printer

WIDTH, HEIGHT = 400.0, 165.0
COLOR = "#1f3a5f"


def drawn(language: Any = "en", **changes: Any) -> DrawnChart:
    chart = {"type": "bar", "labels": ["a", "b"], "series": [{"values": [10, 20]}]} | changes
    printer = Printer(digits="latin", currency="SAR", language=language)
    return draw(Chart.model_validate(chart), printer, width=WIDTH, height=HEIGHT, color=COLOR)


def shapes(chart: DrawnChart, name: str) -> list[ElementTree.Element]:
    """The elements of a kind; that they can be read shows that the drawing is well-formed."""
    assert chart.svg is not None
    return ElementTree.fromstring(str(chart.svg)).findall(name)


def texts(chart: DrawnChart) -> list[str]:
    return ["".join(text.itertext()) for text in shapes(chart, "text")]


def numbers(element: ElementTree.Element, *names: str) -> list[float]:
    return [float(element.get(name, "nan")) for name in names]


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([0, 268000], [0, 100000, 200000, 300000]),
        ([3, 7], [0, 2, 4, 6, 8]),
        ([-45, 80], [-50, 0, 50, 100]),
        ([-3, -1], [-3, -2, -1, 0]),
        (["0.02", "0.1"], ["0", "0.02", "0.04", "0.06", "0.08", "0.10"]),
        ([0, 0], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    ],
)
def test_an_axis_has_round_marks(values: list[Any], marks: list[Any]) -> None:
    assert scale_of([Decimal(value) for value in values]).marks == [Decimal(mark) for mark in marks]


@given(st.lists(st.decimals(min_value=-(10**11), max_value=10**11, places=2), max_size=12))
def test_an_axis_holds_zero_and_all_values_in_few_steps(values: list[Decimal]) -> None:
    scale = scale_of(values)

    assert scale.low <= min([Decimal(0), *values]) <= max([Decimal(0), *values]) <= scale.high
    assert 2 <= len(scale.marks) <= 8
    assert scale.marks[-1] == scale.high
    assert 0 in scale.marks


def test_bars_are_as_high_as_their_values() -> None:
    low, high = shapes(drawn(), "rect")

    assert float(high.get("height", 0)) == pytest.approx(2 * float(low.get("height", 0)), rel=0.01)
    assert numbers(low, "x")[0] < numbers(high, "x")[0]
    assert {"10", "20"} <= set(texts(drawn()))


def test_a_bar_below_zero_hangs_from_the_line() -> None:
    above, below = shapes(drawn(series=[{"values": [10, -10]}]), "rect")

    y, height = numbers(above, "y", "height")
    assert numbers(below, "y")[0] == pytest.approx(y + height)


def test_stacked_bars_stand_on_each_other() -> None:
    chart = drawn(stacked=True, series=[{"name": "x", "values": [10, 5]}, {"name": "y", "values": [30, 5]}])
    lower, upper = shapes(chart, "rect")[:2]

    y, height = numbers(upper, "y", "height")
    assert numbers(lower, "y")[0] == pytest.approx(y + height, abs=0.02)
    assert height == pytest.approx(3 * numbers(lower, "height")[0], rel=0.01)
    assert "40" in texts(chart)


def test_an_arabic_chart_is_the_mirror_of_an_english_one() -> None:
    english, arabic = shapes(drawn(), "rect"), shapes(drawn("ar"), "rect")

    for left, right in zip(english, arabic, strict=True):
        x, width = numbers(left, "x", "width")
        assert numbers(right, "x")[0] == pytest.approx(WIDTH - x - width, abs=0.02)


def test_values_that_do_not_fit_over_their_bars_are_left_out() -> None:
    many = drawn(labels=[f"m{n}" for n in range(30)], series=[{"values": [123456] * 30}])

    assert "123K" not in texts(many)


def test_lying_bars_have_their_labels_and_values_and_no_axis() -> None:
    chart = drawn(type="hbar", labels=["a long name", "b"], series=[{"values": [1000, 250]}])
    long, short = shapes(chart, "rect")

    assert numbers(long, "width")[0] == pytest.approx(4 * numbers(short, "width")[0], rel=0.01)
    assert texts(chart) == ["a long name", "1K", "b", "250"]
    assert shapes(chart, "line") == []


def test_a_line_is_broken_where_values_are_missing() -> None:
    chart = drawn(type="line", labels=list("abcde"), series=[{"values": [1, 2, None, 3, None]}])

    assert [len(line.get("points", "").split()) for line in shapes(chart, "polyline")] == [2]
    assert len(shapes(chart, "circle")) == 3


def test_labels_of_a_long_row_are_thinned_and_stay_on_the_picture() -> None:
    labels = [f"2025-01-{day:02}" for day in range(1, 32)]
    chart = drawn(type="line", labels=labels, series=[{"values": list(range(31))}])

    shown = [text for text in shapes(chart, "text") if "".join(text.itertext()) in labels]
    assert 3 <= len(shown) < 12
    for text in shown:
        half = text_width("2025-01-01", 7) / 2
        assert half - 0.1 <= numbers(text, "x")[0] <= WIDTH - half + 0.1


def test_slices_turn_as_far_as_their_share() -> None:
    chart = drawn(type="pie", labels=["a", "b", "c"], series=[{"values": [1, 2, 1]}])
    starts = [re.findall(r"L([\d.]+) ([\d.]+)", path.get("d", ""))[0] for path in shapes(chart, "path")]

    angles = [math.degrees(math.atan2(float(x) - 60, 60 - float(y))) % 360 for x, y in starts]
    assert angles == [pytest.approx(0, abs=0.1), pytest.approx(90, abs=0.1), pytest.approx(270, abs=0.1)]
    assert [(row.value, row.share) for row in chart.legend] == [("1", "25%"), ("2", "50%"), ("1", "25%")]


def test_a_slice_that_is_all_is_a_circle() -> None:
    chart = drawn(type="donut", series=[{"values": [5, 0]}])

    assert shapes(chart, "path") == []
    assert [circle.get("fill") for circle in shapes(chart, "circle")] == [COLOR, "#fff"]
    assert texts(chart) == ["5"]


@pytest.mark.parametrize("kind", ["bar", "hbar", "line", "pie", "donut"])
@pytest.mark.parametrize("values", [[0, 0], [None, None], [0, None]])
def test_a_chart_of_nothing_is_not_drawn(kind: str, values: list[Any]) -> None:
    assert drawn(type=kind, series=[{"values": values}]).svg is None


@pytest.mark.parametrize("kind", ["bar", "hbar", "line", "pie", "donut"])
def test_markup_in_labels_stays_text(kind: str) -> None:
    hostile = "<script>&\"'</script>"
    chart = drawn(type=kind, title=hostile, labels=[hostile, "b"])

    assert chart.svg is not None
    assert "<script" not in chart.svg
    assert "script" in chart.svg


def test_minutes_are_drawn_in_hours() -> None:
    assert {"50", "100", "150"} <= set(texts(drawn(kind="minutes", series=[{"values": [1000, 8000]}])))


@pytest.mark.parametrize(
    ("language", "value", "shown"),
    [
        ("en", -45000, "-45K"),
        ("ar", -45000, "\u2066-45\u2069 ألف"),
        ("ar", 1500000, "1.5 مليون"),
        ("en", 999, "999"),
    ],
)
def test_sizes_have_a_word_in_the_charts_language(language: str, value: int, shown: str) -> None:
    assert shown in texts(drawn(language, series=[{"values": [value, value]}]))


def test_texts_are_cut_to_the_room_there_is() -> None:
    assert shortened("short", 100, 7) == "short"
    cut = shortened("a text that is too long for its place", 60, 7)
    assert cut.endswith("…")
    assert text_width(cut, 7) <= 60
    assert in_two_lines("one two three", 1000, 7) == ["one two three"]
    assert in_two_lines("محمد بن عبدالله العتيبي", 60, 7)[0] == "محمد بن عبدالله"
