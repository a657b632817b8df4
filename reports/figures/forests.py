"""Forest plots: models trained on real data beside models trained on the release."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

from counterproof.reports.figures.axes import Axis, axis_over
from counterproof.reports.figures.markup import Markup, drawing, element, hint
from counterproof.reports.figures.panels import Entry, Forest, Limits, Reach
from counterproof.reports.judgement import number
from counterproof.reports.text import clipped, interval, printable

ENTRIES_DRAWN = 40
PITCH, TOP = 38.0, 26.0
LEFT, SPLIT, RIGHT = 270.0, 610.0, 880.0
LETTERS = 36  # of a line of a name; a name has two lines


def draw_forest(data: Forest) -> Markup:
    """Left: both models with their intervals. Right: the change and its limits."""
    entries = data.entries[:ENTRIES_DRAWN]
    if not entries:
        return element("p", "No entry has rows enough to be drawn.", class_="note")
    height = TOP + PITCH * len(entries)
    changed = any(entry.change for entry in entries)
    end = SPLIT - 30 if changed else RIGHT - 20
    alone = not any(entry.real for entry in entries)  # then they are read against 0
    levels = axis_over([*_ends(r for e in entries for r in (e.real, e.synthetic)), *[0.0] * alone], LEFT + 10, end)
    parts = [*_frame(levels, height, data.unit or "value"), *_levels(entries, levels, data.titles)]
    if alone and not changed:
        parts.append(_zero(levels, len(entries)))
    if changed:
        limits = data.limits
        changes = axis_over([0.0, *limits, *_ends(e.change for e in entries)], SPLIT + 10, RIGHT - 20)
        parts += [*_frame(changes, height, "change"), *_zone(changes, limits, height), *_changes(entries, changes)]
    names = [name for k, entry in enumerate(entries) for name in _name(k, entry.label)]
    return drawing(RIGHT, height + 24, _aria_label(data), *parts, *names)


def _aria_label(data: Forest) -> str:
    return f"{data.titles[0]} beside {data.titles[1]}, for {len(data.entries)} entries"


def _ends(reaches: Iterable[Reach | None]) -> list[float | None]:
    return [value for reach in reaches if reach for value in (reach.value, reach.low, reach.high)]


def _row(index: int) -> float:
    return TOP + PITCH * (index + 0.5)


def _name(index: int, label: str) -> Iterable[Markup]:
    """On one line or two; longer names end in an ellipsis."""
    first, *others = wrap(printable(label), LETTERS, break_on_hyphens=False) or [""]
    middle, apart = _row(index) + 4, 8.0 if others else 0.0
    yield element("text", hint(label), first, class_="label", x=0.0, y=middle - apart)
    yield element("text", hint(label), clipped(" ".join(others), LETTERS), class_="label", x=0.0, y=middle + apart)


def _frame(axis: Axis, height: float, title: str) -> Iterable[Markup]:
    yield element("text", clipped(title, 56), class_="tick", x=axis.start, y=12.0)
    for tick in axis.ticks(4):
        yield element("line", class_="track", x1=axis(tick), x2=axis(tick), y1=TOP - 6, y2=height)
        yield element("text", number(tick), class_="tick", x=axis(tick), y=height + 14, text_anchor="middle")


def _zone(axis: Axis, limits: Limits, height: float) -> Iterable[Markup]:
    if limits == (None, None):
        return
    low = axis.start if limits[0] is None else axis(limits[0])
    high = axis.end if limits[1] is None else axis(limits[1])
    yield element("rect", class_="zone", x=low, y=TOP - 6, width=high - low, height=height - TOP + 6)
    for value in (limit for limit in limits if limit is not None):
        tip = hint(f"limit {number(value)}")
        yield element("line", tip, class_="limit", x1=axis(value), x2=axis(value), y1=TOP - 6, y2=height)


def _levels(entries: list[Entry], axis: Axis, titles: tuple[str, str]) -> Iterable[Markup]:
    off = 6.0 if any(entry.real for entry in entries) else 0.0
    for k, entry in enumerate(entries):
        if entry.real:
            yield _reach(entry.real, axis, _row(k) - off, "real", titles[0])
        if entry.synthetic:
            yield _reach(entry.synthetic, axis, _row(k) + off, "synthetic", titles[1])


def _zero(axis: Axis, entries: int) -> Markup:
    return element("line", class_="zero", x1=axis(0.0), x2=axis(0.0), y1=TOP - 6, y2=_row(entries - 1) + PITCH / 2)


def _changes(entries: list[Entry], axis: Axis) -> Iterable[Markup]:
    yield _zero(axis, len(entries))
    for k, entry in enumerate(entries):
        if entry.change:
            yield _reach(entry.change, axis, _row(k), "change", "change")


def _reach(reach: Reach, axis: Axis, y: float, kind: str, words: str) -> Markup:
    return element(
        "g",
        hint(f"{words}: {interval(reach.value, reach.low, reach.high)}"),
        element("line", class_=f"reach {kind}", x1=axis(reach.low), x2=axis(reach.high), y1=y, y2=y),
        element("circle", class_=f"point {kind}", cx=axis(reach.value), cy=y, r=4.0),
    )
