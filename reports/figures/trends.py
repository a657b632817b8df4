"""Trends: one gated measurement over releases, each with its interval, its floor and its limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from counterproof.reports.figures.axes import Axis, axis_over
from counterproof.reports.figures.markup import Markup, drawing, element, hint
from counterproof.reports.gate_lines import LOOKS, Line
from counterproof.reports.sentences import amount
from counterproof.reports.text import clipped

WIDTH, HEIGHT = 300.0, 112.0
LEFT, RIGHT, TOP, FOOT = 46.0, 292.0, 8.0, 90.0
FAR = 6.0  # what lies farther off, relative to the rest, is cut at the edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One release in a trend.

    Attributes:
        release: Its name.
        line: The gate in its audit; None where it had none.
        apart: Why its number cannot be compared with that of the release before; empty where it can.
    """

    release: str
    line: Line | None
    apart: str = ""


def trend(points: Sequence[Point]) -> Markup:
    """Releases from left to right; a line joins those that can be compared."""
    measured = [point.line for point in points if point.line is not None and point.line.gate.value is not None]
    if not measured:
        return Markup("")
    up = _axis(measured)
    across = Axis(low=-0.5, high=len(points) - 0.5, start=LEFT, end=RIGHT)
    last = measured[-1]
    label = f"{len(measured)} releases, the last {last.value}, {LOOKS[last.state].word.lower()}"
    return drawing(
        WIDTH,
        HEIGHT,
        label,
        *_limits(points, across, up),
        *_frame(points, across, up, last),
        *_joints(points, across, up),
        *(mark for k, point in enumerate(points) for mark in _mark(point, across(k), up)),
        class_="trend",
    )


def _axis(lines: Sequence[Line]) -> Axis:
    """Wide enough for values, floors and limits; very wide intervals are cut."""
    core = [v for line in lines for v in (line.gate.value, line.gate.floor, line.gate.limit) if v is not None]
    core += [-line.gate.limit for line in lines if line.two_sided and line.gate.limit is not None]
    span = max(max(core) - min(core), 1e-12) * FAR
    ends = [v for line in lines for v in (line.gate.low, line.gate.high) if v is not None]
    kept = [min(max(v, min(core) - span), max(core) + span) for v in ends]
    log = all(line.scale == "log" for line in lines)
    return axis_over([*core, *kept], FOOT, TOP, log=log, pad=0.08)


def _frame(points: Sequence[Point], across: Axis, up: Axis, last: Line) -> Iterable[Markup]:
    for tick in up.ticks(3):
        words = amount(tick, last.quantity.shown_as)
        yield element("line", class_="track", x1=LEFT, x2=RIGHT, y1=up(tick), y2=up(tick))
        yield element("text", clipped(words, 8), class_="tick", x=LEFT - 6, y=up(tick) + 4, text_anchor="end")
    ends = {0: "start", len(points) - 1: "end"} if len(points) > 1 else {0: "start"}
    for k, anchor in ends.items():
        x = LEFT if anchor == "start" else RIGHT
        yield element("text", hint(points[k].release), clipped(points[k].release, 18), class_="tick", x=x,
                      y=HEIGHT - 6, text_anchor=anchor)  # fmt: skip


def _limits(points: Sequence[Point], across: Axis, up: Axis) -> Iterable[Markup]:
    """The zone inside the limit, release by release: limits may change."""
    for k, point in enumerate(points):
        if point.line is None or point.line.gate.limit is None:
            continue
        line, limit = point.line, point.line.gate.limit
        left, right = across(k - 0.5), across(k + 0.5)
        if line.two_sided:
            top, foot, edges = up(limit), up(-limit), [limit, -limit]
        elif line.gate.operator in ("<=", "<"):
            top, foot, edges = up(limit), FOOT, [limit]
        else:
            top, foot, edges = TOP, up(limit), [limit]
        yield element("rect", class_="zone", x=left, y=top, width=right - left, height=max(0.0, foot - top))
        for edge in edges:
            tip = hint(f"limit {line.limit}")
            yield element("line", tip, class_="limit", x1=left, x2=right, y1=up(edge), y2=up(edge))


def _joints(points: Sequence[Point], across: Axis, up: Axis) -> Iterable[Markup]:
    for k in range(1, len(points)):
        before, now = points[k - 1].line, points[k].line
        if before is None or now is None or points[k].apart:
            continue
        if before.gate.value is not None and now.gate.value is not None:
            ends = {"x1": across(k - 1), "y1": up(before.gate.value), "x2": across(k), "y2": up(now.gate.value)}
            yield element("line", class_="joint", **ends)


def _mark(point: Point, x: float, up: Axis) -> Iterable[Markup]:
    line = point.line
    if line is None or line.gate.value is None:
        return
    gate, half = line.gate, min(10.0, 0.3 * (RIGHT - LEFT))
    if gate.floor is not None:
        tip = hint(f"{point.release}: real against real {line.floor}")
        yield element("line", tip, class_="floor-line", x1=x - half, x2=x + half, y1=up(gate.floor), y2=up(gate.floor))
    assert gate.value is not None
    low, high = (gate.value if end is None else end for end in (gate.low, gate.high))
    yield element("line", class_=f"interval {line.state}", x1=x, x2=x, y1=up(low), y2=up(high))
    words = f"{point.release}: {line.value}, {LOOKS[line.state].word.lower()}"
    tip = hint(f"{words}; not comparable with the release before: {point.apart}" if point.apart else words)
    yield element("circle", tip, class_=f"value {line.state}", cx=x, cy=up(gate.value), r=4.0)
