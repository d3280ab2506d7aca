"""Charts drawn as SVG that stands in the page itself, alike in every renderer."""

from toril.queues.pdf.charts.chart import DrawnChart, LegendRow, draw

__all__ = ["DrawnChart", "LegendRow", "draw"]
