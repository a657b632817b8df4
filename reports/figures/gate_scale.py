"""Gate scales: one small drawing per gate, its interval beside its limits and its floor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from counterproof.reports.figures.axes import Axis, axis_over
from counterproof.reports.figures.markup import Markup, drawing, element, hint
from counterproof.reports.gate_lines import Line, State
from counterproof.reports.judgement import number
from counterproof.reports.model import CellReading, GateReading

WIDTH, HEIGHT, MIDDLE = 260.0, 40.0, 14.0
CELL_HEIGHT = 22.0
REACH = 12.0  # a wider interval, relative to the rest, is cut and gets an arrow


def gate_scale(line: Line) -> Markup:
    """The scale of one gate; empty where nothing was measured."""
    gate = line.gate
    if gate.value is None or gate.limit is None or line.fact:
        return Markup("")
    label = f"{line.value}, limit {line.limit}" + ("" if gate.floor is None else f", floor {number(gate.floor)}")
    line = _from_the_least(line)
    gate, axis = line.gate, _axis(line)
    assert gate.value is not None
    return drawing(
        WIDTH,
        HEIGHT,
        label,
        *_background(line, axis, HEIGHT - 14),
        *_floor(gate, axis),
        *_bar(axis, gate.value, gate.low, gate.high, line.state, MIDDLE, _bound(line)),
        *_limit_labels(line, axis),
        class_="rung",
    )


def _from_the_least(line: Line) -> Line:
    """What lies below the least that the true value can be is drawn there."""
    if line.least is None:
        return line
    numbers = {name: getattr(line.gate, name) for name in ("value", "low", "high", "bound")}
    kept = {name: max(value, line.least) for name, value in numbers.items() if value is not None}
    return replace(line, gate=line.gate.model_copy(update=kept))


def cell_scale(line: Line, cell: CellReading) -> Markup:
    """The scale of one cell, on the axis of its gate."""
    if cell.value is None or line.gate.limit is None:
        return Markup("")
    axis = _axis(line)
    label = f"{number(cell.value)} [{number(cell.low)}, {number(cell.high)}], limit {line.limit}"
    bar = _bar(axis, cell.value, cell.low, cell.high, cell.verdict, CELL_HEIGHT / 2)
    return drawing(WIDTH, CELL_HEIGHT, label, *_background(line, axis, CELL_HEIGHT), *bar, class_="rung")


def limits(line: Line) -> list[float]:
    """Every limit on the scale that decides the verdict."""
    ends = {value: None for value in (line.gate.limit, line.gate.fail_limit) if value is not None}
    return sorted({*ends, *(-value for value in ends)}) if line.two_sided else list(ends)


def _axis(line: Line) -> Axis:
    """Wide enough for limits, value, floor and interval; very wide intervals are cut."""
    gate = line.gate
    values = [gate.value, gate.low, gate.high, *(v for c in gate.cells for v in (c.value, c.low, c.high))]
    core = [*limits(line), *(v for v in (gate.value, gate.floor) if v is not None)]
    span = max(max(core) - min(core), 0.2 * max(abs(v) for v in core), 1e-12) * REACH
    kept = [min(max(v, min(core) - span), max(core) + span) for v in values if v is not None]
    return axis_over([*core, *kept], 10.0, WIDTH - 10.0, log=line.scale == "log", pad=0.12)


def _background(line: Line, axis: Axis, height: float) -> Iterable[Markup]:
    """The track, the zone inside the limit, and the limits."""
    gate, limit = line.gate, line.gate.limit
    assert limit is not None
    start, end = axis.start, axis.end
    if line.two_sided:
        start, end = axis(-limit), axis(limit)
    elif gate.operator in ("<=", "<"):
        end = axis(limit)
    else:
        start = axis(limit)
    yield element("rect", class_="zone", x=start, y=2.0, width=max(0.0, end - start), height=height - 4)
    yield element("line", class_="track", x1=axis.start, x2=axis.end, y1=height - 2, y2=height - 2)
    for value in limits(line):
        kind = "limit" if abs(value) == abs(limit) else "limit fails"
        tip = hint(f"{'limit' if kind == 'limit' else 'fails beyond'} {number(value)}")
        yield element("line", tip, class_=kind, x1=axis(value), x2=axis(value), y1=0.0, y2=height - 2)


def _bound(line: Line) -> float | None:
    """The bound with its sign: two-sided gates record how far it lies from zero."""
    bound, low, high = line.gate.bound, line.gate.low, line.gate.high
    if bound is None or not line.two_sided or low is None or high is None:
        return bound
    return bound if high >= -low else -bound


def _floor(gate: GateReading, axis: Axis) -> Iterable[Markup]:
    if gate.floor is None or not axis.holds(gate.floor):
        return
    x, y = axis(gate.floor), HEIGHT - 17
    tip = hint(f"floor, real against real: {number(gate.floor)}")
    yield element("path", tip, class_="floor", d=f"M{x - 4:.1f} {y + 5:.1f}h8l-4 -8z")


def _bar(
    axis: Axis, value: float, low: float | None, high: float | None, state: State, y: float, bound: float | None = None
) -> Iterable[Markup]:
    """Interval, value and the bound that decided."""
    low, high = value if low is None else low, value if high is None else high
    left, right = axis(low), axis(high)
    yield element("line", class_=f"interval {state}", x1=left, x2=right, y1=y, y2=y)
    if low < axis.low:
        yield element("path", class_=f"arrow {state}", d=f"M{left - 1:.1f} {y - 5:.1f}l-7 5l7 5z")
    if high > axis.high:
        yield element("path", class_=f"arrow {state}", d=f"M{right + 1:.1f} {y - 5:.1f}l7 5l-7 5z")
    if bound is not None and axis.holds(bound):
        tip = hint(f"the bound that must lie inside: {number(bound)}")
        yield element("line", tip, class_="bound", x1=axis(bound), x2=axis(bound), y1=y - 5, y2=y + 5)
    yield element("circle", hint(number(value)), class_=f"value {state}", cx=axis(value), cy=y, r=4.0)


def _limit_labels(line: Line, axis: Axis) -> Iterable[Markup]:
    last = -1e9
    for value in limits(line):
        x = min(max(axis(value), 14.0), WIDTH - 14.0)
        if x - last >= 34:
            yield element("text", number(value), class_="tick", x=x, y=HEIGHT - 3, text_anchor="middle")
            last = x
