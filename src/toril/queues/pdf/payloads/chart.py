"""A chart in a report: what it shows, not how it is drawn."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from toril.queues.base import Payload
from toril.queues.pdf.fields import decimal
from toril.queues.pdf.payloads.values import Measure
from toril.queues.pdf.words import NONE, Heading, ShortWords

MAX_POINTS = 60
MAX_SERIES = 6
MAX_SLICES = 12

_Point = Annotated[Decimal | None, BeforeValidator(lambda value: None if value is None else decimal(value))]


class Series(Payload):
    """One set of values, in one colour. Null is a gap."""

    name: ShortWords = NONE
    values: list[_Point] = Field(min_length=1, max_length=MAX_POINTS)


class Chart(Payload):
    """Values over labels.

    Attributes:
        type: ``bar`` (standing), ``hbar`` (lying, for long labels), ``line``, ``pie`` or ``donut``.
        kind: what the values are.
        stacked: bars of several series on top of each other rather than side by side.
        labels: one for each value of a series.
    """

    type: Literal["bar", "hbar", "line", "pie", "donut"]
    title: ShortWords = NONE
    kind: Measure = "number"
    stacked: bool = False
    labels: list[Heading] = Field(min_length=1, max_length=MAX_POINTS)
    series: list[Series] = Field(min_length=1, max_length=MAX_SERIES)

    @field_validator("labels")
    @classmethod
    def _few_slices(cls, labels: list[Heading], info: ValidationInfo) -> list[Heading]:
        if info.data.get("type") in ("pie", "donut") and len(labels) > MAX_SLICES:
            raise ValueError(f"a {info.data['type']} has at most {MAX_SLICES} slices: add the rest up as one")
        return labels

    @field_validator("series")
    @classmethod
    def _fits_the_labels(cls, series: list[Series], info: ValidationInfo) -> list[Series]:
        labels, kind = info.data.get("labels"), info.data.get("type")
        for at, each in enumerate(series):
            if labels is not None and len(each.values) != len(labels):
                raise ValueError(f"series {at} has {len(each.values)} values for {len(labels)} labels")
            below_zero = any(value is not None and value < 0 for value in each.values)
            if below_zero and (kind in ("pie", "donut", "hbar") or info.data.get("stacked")):
                raise ValueError(f"series {at} has values below zero, which only bars and lines can show")
        if kind in ("pie", "donut") and len(series) != 1:
            raise ValueError(f"a {kind} has one series, not {len(series)}")
        return series
