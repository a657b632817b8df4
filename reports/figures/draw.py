"""Figures: every panel of a record as a drawing, a table, and for maps an interactive plot.

The record carries all that a figure needs; nothing is computed here. The shape of
``PanelReading.data`` by kind (typed in ``reports/figures/panels.py``); producers follow it:

``marginals``
    ``{"columns": [{"column": str, "kind": str, "statistic": "KS" | "TV", "value": float,
    "floor": float | None, "labels": [str], "real": [float | None], "synthetic": [float | None]}]}``,
    worst column first. ``real`` and ``synthetic`` are shares per label; labels of numeric columns
    are the ranges of bins. None is hidden: fewer than k real rows. ``KS`` draws a histogram,
    anything else categories.
``map``
    ``{"axes": [str, str], "x_edges": [float], "y_edges": [float], "real": [[int | None]],
    "x": [float], "y": [float]}``. ``real`` counts real rows, one list per y bin (lowest first),
    None hidden; ``x`` and ``y`` are at most 4000 synthetic points.
``pairs``
    ``{"modality": "table" | "image", "redacted": bool, "pairs": [{"synthetic": str, "real": str,
    "note": str, "distance": float, "exact": bool, "agree": int | None, "of": int | None,
    "synthetic_image": base64 PNG | None, "real_image": base64 PNG | None,
    "synthetic_record": {column: value} | None, "real_record": {column: value} | None}]}``.
    Contents are drawn only where ``redacted`` is False and the panel or the manifest says
    ``shows_real``; those of a synthetic row that copies no real one also where ``synthetic_shown`` is True.
``cells``
    ``{"row_title": str, "column_title": str, "rows": [str], "columns": [str], "cells": [{"row": int,
    "column": int, "value": float | None, "low": float | None, "high": float | None,
    "n_real": int | None, "n_synthetic": int | None, "state": "ok" | "thin" | "empty" | "too few"}]}``.
    ``value`` is the share in the release over the share in real data, ``row`` and ``column`` count
    from 0.
``forest``
    ``{"limit": float | None, "unit": str, "titles": [str, str], "entries": [{"label": str, "real": reach |
    None, "synthetic": reach | None, "change": reach | None}]}`` with ``reach`` = ``{"value": float,
    "low": float, "high": float}``; ``titles`` say what ``real`` and ``synthetic`` are, models trained on
    real data and on the release unless given. A limit above 0 holds on both sides of the
    change; below 0 it is the least change that is tolerated.
``bars``
    ``{"labels": [str], "values": [float], "value_title": str}``.
``curves``
    ``{"x_title": str, "y_title": str, "x": [float], "release": [float], "low": [float], "high": [float]}``:
    the release's curve, and the band of real rows against real rows; the diagonal is drawn beside them.
``mosaic``
    ``{"group_title": str, "label_title": str, "labels": [str], "groups": [{"name": str,
    "real": float | None, "synthetic": float | None, "n_real": int | None, "n_synthetic": int | None,
    "real_labels": [float | None], "synthetic_labels": [float | None]}]}``: ``real`` and ``synthetic``
    are the group's share of all rows, ``real_labels`` and ``synthetic_labels`` the share of each label
    among the group's rows, in the order of ``labels``. None is hidden: fewer than k real rows.

A panel of another shape (a plugin's) becomes a sentence that says so, never a broken report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterproof.reports.figures.closest_pairs import draw_pairs
from counterproof.reports.figures.curves import draw_curves
from counterproof.reports.figures.forests import draw_forest
from counterproof.reports.figures.heatmaps import draw_cells, draw_map
from counterproof.reports.figures.histograms import draw_bars, draw_marginals
from counterproof.reports.figures.markup import Markup, element
from counterproof.reports.figures.mosaics import draw_mosaic
from counterproof.reports.figures.panels import (
    Bars,
    Cells,
    Curves,
    Forest,
    Map,
    Marginals,
    Mosaic,
    MosaicGroup,
    Pairs,
    Reach,
    shape_of,
)
from counterproof.reports.figures.plots.build import plot_of_data
from counterproof.reports.figures.plots.theme import PAGE, Plot
from counterproof.reports.judgement import number
from counterproof.reports.model import PanelReading
from counterproof.reports.text import cell_text, interval

TABLE_ROWS = 1500
LEGEND_LINE = 24  # pixels
STILL = ("pairs",)  # cards of text and images, which no plot improves
LEGENDS: Mapping[str, tuple[str, ...]] = {
    "marginals": ("real", "synthetic", "hidden"),
    "map": ("real", "synthetic", "hidden"),
    "cells": ("under", "hidden"),
    "forest": ("real", "synthetic", "change"),
    "curves": ("synthetic", "floor"),
    "mosaic": ("hidden",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawn panel.

    Attributes:
        kind: Kind of the panel.
        title: What it shows.
        note: How to read it.
        drawing: Markup that needs no JavaScript.
        columns: Headings of the same data as a table.
        rows: Its rows, as text.
        left_out: How many rows the table leaves to the record.
        plot: The same for plotly.js, ``{"data": …, "layout": …}`` with colours as ``var(--name)``, or None.
            ``layout.meta.least_width``: on a narrower page the drawing stays.
        legend: Keys of the colours.
    """

    kind: str
    title: str
    note: str
    drawing: Markup
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left_out: int = 0
    plot: Plot | None = None
    legend: tuple[str, ...] = ()


def draw(panel: PanelReading, *, shows_real: bool = False) -> Figure:
    """Draw a panel; ``shows_real``: the audit was run with --show-real."""
    reveal = shows_real or panel.shows_real
    try:
        data = shape_of(panel)
        drawn = _DRAWERS[panel.kind](data, reveal)
        columns, rows = _TABLES[panel.kind](data)
        plot = None if panel.kind in STILL else plot_of_data(panel.kind, data, PAGE, reveal=reveal)
    except (ValueError, IndexError) as error:
        broken = element("p", f"This figure cannot be drawn, {error}.", class_="note")
        return Figure(kind=panel.kind, title=panel.title, note=panel.note, drawing=broken)
    legend = _legend(panel)
    return Figure(
        kind=panel.kind,
        title=panel.title,
        note=panel.note,
        drawing=drawn,
        columns=columns,
        rows=tuple(rows[:TABLE_ROWS]),
        left_out=max(0, len(rows) - TABLE_ROWS),
        plot=_without_legend(plot) if plot and len(legend) > 1 else plot,
        legend=legend,
    )


def _legend(panel: PanelReading) -> tuple[str, ...]:
    """Keys of the colours that the drawing has; a forest of one colour needs none."""
    keys = LEGENDS.get(panel.kind, ())
    if panel.kind != "forest":
        return keys
    there = tuple(key for key in keys if any(entry.get(key) for entry in panel.data["entries"]))
    return there if len(there) > 1 else ()


def _without_legend(plot: Plot) -> Plot:
    """The same plot without its legend, where the page has one above it."""
    layout = plot["layout"]
    if not layout.get("showlegend"):
        return plot
    margin = {**layout.get("margin", {}), "t": layout.get("margin", {}).get("t", 32) - LEGEND_LINE}
    height = layout["height"] - LEGEND_LINE
    return {**plot, "layout": {**layout, "showlegend": False, "margin": margin, "height": height}}


Table = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]


def _marginals(data: Marginals) -> Table:
    columns = ("column", "statistic", "floor", "value or range", "real share", "synthetic share")
    return columns, list(_marginal_rows(data))


def _marginal_rows(data: Marginals) -> Iterator[tuple[str, ...]]:
    for c in data.columns:
        for label, real, synthetic in zip(c.labels, c.real, c.synthetic, strict=True):
            shares = ("hidden" if real is None else number(real), number(synthetic))
            yield (c.column, f"{c.statistic} {number(c.value)}", number(c.floor), label, *shares)


def _map(data: Map) -> Table:
    rows = [
        (_span(data.x_edges, i), _span(data.y_edges, j), "hidden" if count is None else str(count))
        for j, counts in enumerate(data.real)
        for i, count in enumerate(counts)
        if count != 0
    ]
    return (data.axes[0], data.axes[1], "real rows"), rows


def _span(edges: list[float], index: int) -> str:
    return f"{number(edges[index])} to {number(edges[index + 1])}"


def _pairs(data: Pairs) -> Table:
    rows: list[tuple[str, ...]] = [
        (p.synthetic, p.real, number(p.distance), cell_text(p.exact), _agreement(p.agree, p.of)) for p in data.pairs
    ]
    columns: tuple[str, ...] = ("synthetic", "real", "distance", "exact copy", "columns agree")
    if any(p.note for p in data.pairs):
        columns, rows = (*columns, "remark"), [(*row, p.note) for row, p in zip(rows, data.pairs, strict=True)]
    return columns, rows


def _agreement(agree: int | None, of: int | None) -> str:
    return "–" if agree is None or of is None else f"{agree} of {of}"


def _cells(data: Cells) -> Table:
    columns = (data.row_title or "row", data.column_title or "column", "ratio", "real rows", "synthetic rows", "state")
    rows = [
        (
            data.rows[c.row],
            data.columns[c.column],
            interval(c.value, c.low, c.high),
            "hidden" if c.n_real is None else str(c.n_real),
            cell_text(c.n_synthetic),
            c.state,
        )
        for c in data.cells
    ]
    return columns, rows


def _forest(data: Forest) -> Table:
    rows = [(e.label, _reach(e.real), _reach(e.synthetic), _reach(e.change)) for e in data.entries]
    return ("entry", *data.titles, "change"), rows


def _reach(reach: Reach | None) -> str:
    return "–" if reach is None else interval(reach.value, reach.low, reach.high)


def _bars(data: Bars) -> Table:
    rows = [(label, number(value)) for label, value in zip(data.labels, data.values, strict=True)]
    return ("entry", data.value_title or "value"), rows


def _curves(data: Curves) -> Table:
    rows = [
        (number(x), number(y), number(low), number(high))
        for x, y, low, high in zip(data.x, data.release, data.low, data.high, strict=True)
    ]
    return (data.x_title or "x", data.y_title or "release", "real against real, from", "to"), rows


def _mosaic(data: Mosaic) -> Table:
    columns = (data.group_title or "group", data.label_title or "label", "real share", "synthetic share")
    return columns, [row for group in data.groups for row in _mosaic_rows(data, group)]


def _mosaic_rows(data: Mosaic, group: MosaicGroup) -> Iterator[tuple[str, ...]]:
    """The group's share, then the share of each label in it."""
    yield (group.name, "all, of all rows", _hideable(group.real), _hideable(group.synthetic))
    for label, real, made in zip(data.labels, group.real_labels, group.synthetic_labels, strict=True):
        yield (group.name, label, _hideable(real), _hideable(made))


def _hideable(share: float | None) -> str:
    return "hidden" if share is None else number(share)


_TABLES: Mapping[str, Callable[[Any], Table]] = {
    "marginals": _marginals,
    "map": _map,
    "pairs": _pairs,
    "cells": _cells,
    "forest": _forest,
    "bars": _bars,
    "curves": _curves,
    "mosaic": _mosaic,
}
_DRAWERS: Mapping[str, Callable[[Any, bool], Markup]] = {
    "marginals": lambda data, _: draw_marginals(data),
    "map": lambda data, _: draw_map(data),
    "pairs": lambda data, reveal: draw_pairs(data, reveal=reveal),
    "cells": lambda data, _: draw_cells(data),
    "forest": lambda data, _: draw_forest(data),
    "bars": lambda data, _: draw_bars(data),
    "curves": lambda data, _: draw_curves(data),
    "mosaic": lambda data, _: draw_mosaic(data),
}
