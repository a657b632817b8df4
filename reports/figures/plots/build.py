"""The plot of a panel, of every kind, and that of measurements which have no panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from counterproof.reports.figures.panels import Limits, Reach, shape_of
from counterproof.reports.figures.plots.closest_pairs import pairs
from counterproof.reports.figures.plots.curves import curves
from counterproof.reports.figures.plots.distributions import bars, marginals
from counterproof.reports.figures.plots.forests import ENTRIES_DRAWN, Lane, Series, forest, lanes
from counterproof.reports.figures.plots.heatmaps import cells, data_map
from counterproof.reports.figures.plots.mosaics import mosaic
from counterproof.reports.figures.plots.theme import Palette, Plot, words
from counterproof.reports.gate_lines import EXCESS
from counterproof.reports.model import GateReading, PanelReading, Reading
from counterproof.reports.sentences import group_in_words

_BUILDERS: Mapping[str, Callable[[Any, Palette], Plot]] = {
    "marginals": marginals,
    "map": data_map,
    "cells": cells,
    "forest": forest,
    "bars": bars,
    "curves": curves,
    "mosaic": mosaic,
}


def plot_of_panel(panel: PanelReading, palette: Palette, *, shows_real: bool) -> Plot:
    """A panel as a plot; ``shows_real``: the audit was run with --show-real.

    Raises:
        ValueError: The panel's data have another shape.
    """
    return plot_of_data(panel.kind, shape_of(panel), palette, reveal=shows_real or panel.shows_real)


def plot_of_data(kind: str, data: Any, palette: Palette, *, reveal: bool) -> Plot:
    """The typed data of a panel as a plot; contents of real records only where ``reveal``."""
    return pairs(data, palette, reveal=reveal) if kind == "pairs" else _BUILDERS[kind](data, palette)


def plot_of_readings(readings: Sequence[Reading], gates: Sequence[GateReading], palette: Palette) -> Plot:
    """Measurements of one metric: a lane for each field, a row for each group, with floors and the limits of gates.

    Args:
        readings: What was measured; the order of their fields is that of the lanes.
        gates: The gates of the metric.
        palette: Colours.
    """
    places = list(dict.fromkeys(group_in_words(reading.group) or "all rows" for reading in readings))[:ENTRIES_DRAWN]
    fields = list(dict.fromkeys(reading.field for reading in readings))
    shown = [
        _lane([r for r in readings if r.field == name], [g for g in gates if g.field == name], places, palette)
        for name in fields
    ]
    return lanes(places, shown, palette)


def _lane(readings: Sequence[Reading], gates: Sequence[GateReading], places: Sequence[str], palette: Palette) -> Lane:
    found = {group_in_words(reading.group) or "all rows": reading for reading in readings}
    values = [_reach(found[place]) if place in found else None for place in places]
    floors = [_floor(found[place]) if place in found else None for place in places]
    release = Series(name="the release", colour=palette.synthetic, reaches=values)
    floor = Series(name="real against real", colour=palette.quiet, reaches=floors, symbol="triangle-up")
    first = readings[0]
    told = EXCESS if first.field == "excess" else first.field.replace("_", " ") if not first.headline else ""
    title = ", ".join(part for part in (told or first.unit or "value", first.unit if told else "") if part)
    log = first.scale == "log" and all(reach.low > 0 for reach in (*values, *floors) if reach is not None)
    limits, fails = _limits(first, gates)
    return Lane(
        title=title,
        series=[floor, release] if any(floors) else [release],
        limits=limits,
        fails=fails,
        zero=first.better == "zero" or first.field == "excess",
        log=log,
    )


def _reach(reading: Reading) -> Reach | None:
    e = reading.estimate
    return None if e is None else Reach(value=e.value, low=e.low, high=e.high)


def _floor(reading: Reading) -> Reach | None:
    f = reading.floor
    return None if f is None else Reach(value=f.value, low=f.low, high=f.high)


def _limits(reading: Reading, gates: Sequence[GateReading]) -> tuple[Limits, list[float]]:
    """The strictest limits to pass, and those to fail where they are others."""
    lows: list[float] = []
    highs: list[float] = []
    fails: list[float] = []
    for gate in gates:
        if gate.limit is None:
            continue
        upper = gate.operator in ("<=", "<")
        (highs if upper else lows).append(gate.limit)
        other = [] if gate.fail_limit in (None, gate.limit) else [gate.fail_limit]
        fails += [value for value in other if value is not None]
        if upper and reading.better == "zero":
            lows.append(-gate.limit)
            fails += [-value for value in other if value is not None]
    return (max(lows, default=None), min(highs, default=None)), sorted(set(fails))


def titled(plot: Plot, title: str) -> Plot:
    """The same plot under a title, for a figure that stands alone."""
    layout = dict(plot["layout"])
    margin = dict(layout.get("margin", {}))
    margin["t"] = margin.get("t", 32) + 34
    line = {"text": f"<b>{words(title, 110)}</b>", "font": {"size": 15}}
    place = {"x": 0, "xref": "container", "y": 1, "yref": "container", "yanchor": "top", "pad": {"l": 16, "t": 14}}
    layout |= {"margin": margin, "height": layout["height"] + 34, "title": {**line, **place}}
    return {**plot, "layout": layout}
