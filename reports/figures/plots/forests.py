"""Forests: intervals below each other, each beside its floor and its limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from counterproof.reports.figures.axes import axis_over
from counterproof.reports.figures.panels import Forest, Limits, Reach
from counterproof.reports.figures.plots.theme import LABEL, Palette, Plot, brief, caption, plot_of, words
from counterproof.reports.text import interval, printable

ENTRIES_DRAWN = 40
PITCH = 34  # pixels of one entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Intervals of one kind, one an entry.

    Attributes:
        name: What they are.
        colour: Their colour.
        reaches: Values with their intervals; None where an entry has none.
        symbol: The mark of the value.
    """

    name: str
    colour: str
    reaches: Sequence[Reach | None]
    symbol: str = "circle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Series on one scale, beside the other lanes.

    Attributes:
        title: What the scale measures.
        series: What stands on it.
        limits: Lower and upper limit; None where there is none.
        fails: Limits beyond which a gate fails, where they are others.
        zero: Whether zero is marked.
        log: Whether the scale is logarithmic.
    """

    title: str
    series: Sequence[Series]
    limits: Limits = (None, None)
    fails: Sequence[float] = field(default=())
    zero: bool = False
    log: bool = False


def forest(data: Forest, palette: Palette) -> Plot:
    """Left: real and release with their intervals. Right: the change and its limits."""
    entries = data.entries[:ENTRIES_DRAWN]
    levels = [
        Series(name=name, colour=colour, reaches=reaches)
        for name, colour, reaches in (
            (data.titles[0], palette.real, [entry.real for entry in entries]),
            (data.titles[1], palette.synthetic, [entry.synthetic for entry in entries]),
        )
        if any(reaches)
    ]
    changed = [entry.change for entry in entries]
    alone = not any(entry.real for entry in entries) and not any(changed)  # then they are read against 0
    shown = [Lane(title=data.unit or "value", series=levels, zero=alone)]
    if any(changed):
        change = Series(name="change", colour=palette.ink, reaches=changed)
        shown.append(Lane(title="change", series=[change], limits=data.limits, zero=True))
    return lanes([entry.label for entry in entries], shown, palette)


def lanes(labels: Sequence[str], shown: Sequence[Lane], palette: Palette) -> Plot:
    """The lanes side by side, the entries below each other."""
    if not labels:
        empty = caption("No entry has rows enough to be drawn.", x=0, y=0.5)
        off = {"visible": False}
        return plot_of([], palette, height=120, annotations=[empty], xaxis=off, yaxis=off)
    wide = (1 - 0.06 * (len(shown) - 1)) / len(shown)
    axes: dict[str, Plot] = {}
    traces: list[Plot] = []
    shapes: list[Plot] = []
    for at, lane in enumerate(shown):
        key = "" if at == 0 else str(at + 1)
        left = at * (wide + 0.06)
        axes[f"xaxis{key}"] = {
            "domain": [round(left, 4), round(left + wide, 4)],
            "title": {"text": _two_lines(lane.title, 44)},
            "nticks": 5,
            "anchor": "y",
            **_scale(lane),
        }
        shapes += _marks(lane, f"x{key}", palette)
        for k, series in enumerate(lane.series):
            apart = (k - (len(lane.series) - 1) / 2) * 0.3
            new = all(trace["legendgroup"] != series.name for trace in traces)
            drawn = _intervals(series, labels, apart)
            traces.append({**drawn, "showlegend": new, "xaxis": f"x{key}", "yaxis": "y"})
    y = {
        "tickvals": list(range(len(labels))),
        "ticktext": [_two_lines(label) for label in labels],
        "range": [len(labels) - 0.4, -0.6],
        "automargin": True,
        "showgrid": False,
    }
    several = len(traces) > 1
    top = 40 if several else 14  # a legend needs a line
    return plot_of(
        traces, palette, height=top + 72 + PITCH * len(labels), least_width=50 + 250 * len(shown), showlegend=several,
        shapes=shapes, yaxis=y, margin={"l": 24, "r": 20, "t": top, "b": 56}, **axes,
    )  # fmt: skip


def _reach_of(lane: Lane) -> tuple[float, float]:
    """The ends of a lane's scale: all that stands on it, and a little room."""
    told = [v for series in lane.series for r in series.reaches if r is not None for v in (r.low, r.value, r.high)]
    marks = [limit for limit in (*lane.limits, *lane.fails) if limit is not None]
    axis = axis_over([*told, *marks, *([0.0] if lane.zero else [])], 0.0, 1.0, log=lane.log)
    return axis.low, axis.high


def _scale(lane: Lane) -> Plot:
    low, high = _reach_of(lane)
    if lane.log and low > 0:
        return {"type": "log", "range": [brief(math.log10(low)), brief(math.log10(high))]}
    return {"range": [brief(low), brief(high)]}


def _two_lines(label: str, letters: int = LABEL) -> str:
    first, *others = wrap(printable(label), letters, break_on_hyphens=False) or [""]
    return words(first, letters) + (f"<br>{words(' '.join(others), letters)}" if others else "")


def _intervals(series: Series, labels: Sequence[str], apart: float) -> Plot:
    told = [(k, reach) for k, reach in enumerate(series.reaches) if reach is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": words(series.name, 40),
        "legendgroup": series.name,
        "x": [brief(reach.value) for _, reach in told],
        "y": [brief(k + apart) for k, _ in told],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [brief(max(0.0, reach.high - reach.value)) for _, reach in told],
            "arrayminus": [brief(max(0.0, reach.value - reach.low)) for _, reach in told],
            "width": 0,
            "thickness": 2.5,
            "color": series.colour,
        },
        "marker": {"color": series.colour, "size": 8, "symbol": series.symbol},
        "hovertext": [
            f"{words(labels[k], 80)}<br>{words(series.name, 40)}: {interval(reach.value, reach.low, reach.high)}"
            for k, reach in told
        ],
        "hoverinfo": "text",
    }


def _marks(lane: Lane, axis: str, palette: Palette) -> list[Plot]:
    """The zone inside the limits, the limits, and zero."""
    place: Plot = {"xref": axis, "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    low, high = lane.limits
    marks: list[Plot] = []
    if lane.limits != (None, None):
        least, most = _reach_of(lane)
        zone = {"fillcolor": palette.passes, "opacity": 0.12, "line": {"width": 0}}
        ends = {"x0": brief(least if low is None else low), "x1": brief(most if high is None else high)}
        marks.append({"type": "rect", **ends, **zone, **place})

    def line(at: float, colour: str, dash: str) -> Plot:
        look = {"color": colour, "width": 1.5, "dash": dash}
        return {"type": "line", "x0": brief(at), "x1": brief(at), "line": look, **place}

    marks += [line(0.0, palette.quiet, "solid")] if lane.zero else []
    marks += [line(at, palette.passes, "solid") for at in (low, high) if at is not None]
    return marks + [line(at, palette.under, "dot") for at in lane.fails]
