"""A chart of a report, drawn: its picture, and what its colours mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

from toril.queues.pdf import formats
from toril.queues.pdf.charts.bars import draw_bars, draw_rows, rows_height
from toril.queues.pdf.charts.canvas import Canvas
from toril.queues.pdf.charts.lines import draw_lines
from toril.queues.pdf.charts.pie import draw_pie, shares_of
from toril.queues.pdf.payloads.chart import Chart
from toril.queues.pdf.payloads.values import Measure
from toril.queues.pdf.printer import Printer
from toril.queues.pdf.words import Words

_ROUND = 120.0  # height of round charts, in points

# After the document's own colour: apart from each other in hue and in brightness, so also in grey.
_COLORS = ("#c8963e", "#5b9bbf", "#7f8c9d", "#2f7f6d", "#b4654a", "#8d7bb5", "#d8bf8c", "#3f5f8a", "#9fbfa8",
           "#6b4f4f", "#b8c4d2")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendRow:
    """What a colour stands for; value and share are of slices only."""

    color: str
    name: Words | str
    value: str = ""
    share: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnChart:
    """A chart as templates take it. ``round`` ones have their legend beside them, others under them."""

    title: Words
    svg: Markup | None  #: none if there is nothing to show
    legend: Sequence[LegendRow] = ()
    round: bool = False


def draw(chart: Chart, printer: Printer, *, width: float, height: float, color: str) -> DrawnChart:
    """Draw a chart ``width`` points wide; ``height`` is of charts with axes, others have their own."""
    colors = (color, *_COLORS)
    labels = [label.in_one(printer.language) for label in chart.labels]
    values = [[_drawable(value, chart.kind) for value in series.values] for series in chart.series]
    rtl = printer.language == "ar"
    name = chart.title.in_one(printer.language)

    def print_(value: Decimal) -> str:
        return printer.short(value, chart.kind)

    if not any(value for series in values for value in series):
        return DrawnChart(title=chart.title, svg=None)
    if chart.type in ("pie", "donut"):
        canvas = Canvas(_ROUND, _ROUND, rtl=rtl)
        shares = shares_of(values[0])
        whole = print_(sum((value or Decimal(0) for value in values[0]), Decimal(0)))
        draw_pie(canvas, shares, colors, middle=whole if chart.type == "donut" else None)
        return DrawnChart(
            title=chart.title,
            svg=canvas.svg(name),
            legend=[
                LegendRow(
                    color=colors[at],
                    name=chart.labels[at],
                    value=printer.measure(value, chart.kind),
                    share=formats.percent(Decimal(str(round(shares[at] * 100, 1))), printer.digits),
                )
                for at, value in enumerate(chart.series[0].values)
                if value is not None
            ],
            round=True,
        )
    if chart.type == "hbar":
        canvas = Canvas(width, rows_height(len(labels), len(values), stacked=chart.stacked), rtl=rtl)
        draw_rows(canvas, labels, values, colors, print_, stacked=chart.stacked)
    else:
        canvas = Canvas(width, height, rtl=rtl)
        if chart.type == "bar":
            draw_bars(canvas, labels, values, colors, print_, stacked=chart.stacked)
        else:
            draw_lines(canvas, labels, values, colors, print_)
    names = [series.name for series in chart.series]
    legend = [LegendRow(color=colors[at], name=name) for at, name in enumerate(names) if name]
    return DrawnChart(title=chart.title, svg=canvas.svg(name), legend=legend if len(names) > 1 else ())


def _drawable(value: Decimal | None, kind: Measure) -> Decimal | None:
    """Minutes as hours, so that the marks of an axis are round hours."""
    return value / 60 if value is not None and kind == "minutes" else value
