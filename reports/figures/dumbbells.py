"""Dumbbells: the intervals of one gate in two audits, on one scale with its limits."""

from __future__ import annotations

from collections.abc import Iterable

from counterproof.reports.figures.axes import Axis, axis_over
from counterproof.reports.figures.gate_scale import REACH, limits
from counterproof.reports.figures.markup import Markup, drawing, element, hint
from counterproof.reports.gate_lines import Line
from counterproof.reports.sentences import amount

WIDTH, HEIGHT = 260.0, 54.0
EARLIER, LATER, FOOT = 11.0, 27.0, 38.0
LETTER = 6.2  # width of a letter of a tick


def dumbbell(earlier: Line, later: Line) -> Markup:
    """Above the earlier interval, below it the later one, joined; behind both the zone inside the later limit."""
    if earlier.gate.value is None or later.gate.value is None:
        return Markup("")
    axis = _axis(earlier, later)
    label = f"before {earlier.value}, now {later.value}, limit {later.limit}"
    return drawing(
        WIDTH,
        HEIGHT,
        label,
        *_zone(later, axis),
        element("line", class_="joint", x1=_at(earlier, axis), x2=_at(later, axis), y1=EARLIER, y2=LATER),
        *_bar(earlier, axis, EARLIER, "earlier"),
        *_bar(later, axis, LATER, later.state),
        class_="rung",
    )


def _at(line: Line, axis: Axis) -> float:
    assert line.gate.value is not None
    return axis(line.gate.value)


def _axis(earlier: Line, later: Line) -> Axis:
    """Wide enough for both values and the limits; very wide intervals are cut."""
    core = [v for line in (earlier, later) for v in (line.gate.value, *limits(line)) if v is not None]
    span = max(max(core) - min(core), 0.2 * max(abs(v) for v in core), 1e-12) * REACH
    ends = [v for line in (earlier, later) for v in (line.gate.low, line.gate.high) if v is not None]
    kept = [min(max(v, min(core) - span), max(core) + span) for v in ends]
    log = earlier.scale == later.scale == "log"
    return axis_over([*core, *kept], 10.0, WIDTH - 10.0, log=log, pad=0.08)


def _zone(line: Line, axis: Axis) -> Iterable[Markup]:
    yield element("line", class_="track", x1=axis.start, x2=axis.end, y1=FOOT, y2=FOOT)
    gate = line.gate
    if gate.limit is None:
        return
    start, end = axis.start, axis.end
    if line.two_sided:
        start, end = axis(-gate.limit), axis(gate.limit)
    elif gate.operator in ("<=", "<"):
        end = axis(gate.limit)
    else:
        start = axis(gate.limit)
    yield element("rect", class_="zone", x=start, y=0.0, width=max(0.0, end - start), height=FOOT)
    last = -1e9
    for value in limits(line):
        words = amount(value, line.quantity.shown_as)
        kind = "limit" if abs(value) == abs(gate.limit) else "limit fails"
        tip = hint(f"{'limit' if kind == 'limit' else 'fails beyond'} {words}")
        yield element("line", tip, class_=kind, x1=axis(value), x2=axis(value), y1=0.0, y2=FOOT)
        half = LETTER * len(words) / 2
        middle = min(max(axis(value), half), WIDTH - half)
        if middle - half > last:
            yield element("text", words, class_="tick", x=middle, y=HEIGHT - 3, text_anchor="middle")
            last = middle + half + LETTER


def _bar(line: Line, axis: Axis, y: float, kind: str) -> Iterable[Markup]:
    gate = line.gate
    assert gate.value is not None
    low, high = (gate.value if end is None else end for end in (gate.low, gate.high))
    yield element("line", class_=f"interval {kind}", x1=axis(low), x2=axis(high), y1=y, y2=y)
    tip = hint(f"{'before' if kind == 'earlier' else 'now'}: {line.value}")
    yield element("circle", tip, class_=f"value {kind}", cx=axis(gate.value), cy=y, r=4.0)
