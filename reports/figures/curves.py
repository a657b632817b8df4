"""Curves: a release's curve in the band of real data against real data, beside the diagonal."""

from __future__ import annotations

from collections.abc import Iterator

from counterproof.reports.figures.axes import Axis
from counterproof.reports.figures.markup import Markup, drawing, element, hint
from counterproof.reports.figures.panels import Curves
from counterproof.reports.judgement import number
from counterproof.reports.text import clipped

WIDTH, HEIGHT = 460.0, 400.0
LEFT, TOP, RIGHT, BOTTOM = 52.0, 12.0, 448.0, 344.0


def draw_curves(data: Curves) -> Markup:
    """The band first, the diagonal over it, the release over both."""
    across, up = _axis(data.x, LEFT, RIGHT), _axis([*data.release, *data.low, *data.high, *data.x], BOTTOM, TOP)
    parts = [*_frame(data, across, up), _band(data, across, up), _diagonal(across, up), *_release(data, across, up)]
    return drawing(WIDTH, HEIGHT, _aria_label(data), *parts)


def _axis(values: list[float], start: float, end: float) -> Axis:
    """From 0 to 1, farther where values are."""
    return Axis(low=min([0.0, *values]), high=max([1.0, *values]), start=start, end=end)


def _aria_label(data: Curves) -> str:
    outside = sum(not low <= y <= high for low, y, high in zip(data.low, data.release, data.high, strict=True))
    return f"{data.y_title} by {data.x_title}; the release leaves the floor at {outside} of {len(data.x)} places"


def _frame(data: Curves, across: Axis, up: Axis) -> Iterator[Markup]:
    for tick in across.ticks():
        yield element("line", class_="track", x1=across(tick), x2=across(tick), y1=TOP, y2=BOTTOM)
        yield element("text", number(tick), class_="tick", x=across(tick), y=BOTTOM + 16, text_anchor="middle")
    for tick in up.ticks():
        yield element("line", class_="track", x1=LEFT, x2=RIGHT, y1=up(tick), y2=up(tick))
        yield element("text", number(tick), class_="tick", x=LEFT - 7, y=up(tick) + 4, text_anchor="end")
    middle = (TOP + BOTTOM) / 2
    yield element("text", clipped(data.x_title, 70), class_="tick", x=(LEFT + RIGHT) / 2, y=BOTTOM + 38,
                  text_anchor="middle")  # fmt: skip
    yield element("text", clipped(data.y_title, 50), class_="tick", x=12.0, y=middle, text_anchor="middle",
                  transform=f"rotate(-90 12 {middle:g})")  # fmt: skip


def _band(data: Curves, across: Axis, up: Axis) -> Markup:
    there = list(zip(data.x, data.high, strict=True))
    back = list(zip(data.x, data.low, strict=True))[::-1]
    tip = hint("real rows against real rows")
    return element("polygon", tip, class_="band", points=_points([*there, *back], across, up))


def _diagonal(across: Axis, up: Axis) -> Markup:
    return element("line", class_="zero", x1=across(0.0), x2=across(1.0), y1=up(0.0), y2=up(1.0))


def _release(data: Curves, across: Axis, up: Axis) -> Iterator[Markup]:
    line = list(zip(data.x, data.release, strict=True))
    yield element("polyline", class_="curve synthetic", points=_points(line, across, up))
    for (x, y), low, high in zip(line, data.low, data.high, strict=True):
        tip = hint(f"at {number(x)}: {number(y)}, real rows {number(low)} to {number(high)}")
        yield element("circle", tip, class_="point synthetic", cx=across(x), cy=up(y), r=2.5)


def _points(line: list[tuple[float, float]], across: Axis, up: Axis) -> str:
    return " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line)
