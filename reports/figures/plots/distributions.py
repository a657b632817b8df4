"""Distributions: real beside synthetic shares, one small chart a column, and plain bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterproof.reports.figures.panels import Bars, Marginal, Marginals
from counterproof.reports.figures.plots.theme import Palette, Plot, brief, caption, cells_of_grid, plot_of, words
from counterproof.reports.judgement import number

COLUMNS_DRAWN, CATEGORIES_DRAWN, BARS_DRAWN = 24, 8, 30
ACROSS = 3  # small charts in a row
TALL, GAP = 132, 76  # pixels: a small chart, and what stands between two
NAMES = 0.4  # of a chart's width, for the names of categories


def marginals(data: Marginals, palette: Palette) -> Plot:
    """One small chart per column, worst first: bins as columns, categories as rows."""
    shown = data.columns[:COLUMNS_DRAWN]
    rows = max(1, -(-len(shown) // ACROSS))
    whole = rows * TALL + (rows - 1) * GAP
    traces: list[Plot] = []
    axes: dict[str, Plot] = {}
    titles: list[Plot] = []
    for at, (x, y) in enumerate(cells_of_grid(len(shown), ACROSS, gap_x=0.05, gap_y=GAP / whole)):
        column, key = shown[at], "" if at == 0 else str(at + 1)
        titles.append(caption(_title(column), x=x[0], y=y[1] + 6 / whole, font={"size": 12}))
        made, frame = _numbers(column) if column.statistic == "KS" else _categories(column)
        left = x[0] if column.statistic == "KS" else x[0] + NAMES * (x[1] - x[0])
        axes[f"xaxis{key}"] = {"domain": [round(left, 4), x[1]], "anchor": f"y{key}", **frame["x"]}
        axes[f"yaxis{key}"] = {"domain": y, "anchor": f"x{key}", **frame["y"]}
        traces += [
            {**trace, **_looks(trace["name"], palette), "xaxis": f"x{key}", "yaxis": f"y{key}", "showlegend": at == 0}
            for trace in made
        ]
    left_out = len(data.columns) - len(shown)
    if left_out:
        titles.append(caption(f"{left_out} more columns stand in the record", x=0, y=-60 / whole))
    return plot_of(
        traces, palette, height=whole + 110, least_width=780, showlegend=True, barmode="overlay",
        margin={"l": 40, "r": 16, "t": 62, "b": 48}, annotations=titles, **axes,
        legend={"y": 1 + 34 / whole, "traceorder": "normal"},
    )  # fmt: skip


def _title(column: Marginal) -> str:
    floor = "" if column.floor is None else f", floor {number(column.floor)}"
    return f"<b>{words(column.column, 26)}</b>  {words(column.statistic, 8)} {number(column.value)}{floor}"


def _looks(name: str, palette: Palette) -> Plot:
    """Real rows stand behind, wider and paler; hidden shares are hatched."""
    if name == "too few rows":
        pattern = {"shape": "/", "size": 4, "fgcolor": palette.quiet, "bgcolor": "rgba(0,0,0,0)"}
        return {"marker": {"color": palette.quiet, "pattern": pattern, "line": {"width": 0}}}
    if name == "real":
        return {"marker": {"color": palette.real, "line": {"width": 0}}, "opacity": 0.6}
    return {"marker": {"color": palette.synthetic, "line": {"width": 0}}}


def _numbers(column: Marginal) -> tuple[list[Plot], Mapping[str, Plot]]:
    labels = [words(label, 28) for label in column.labels]
    traces = [
        _bars(name, list(range(len(labels))), shares, labels, width, upright=True)
        for name, shares, width in (("real", column.real, 0.94), ("synthetic", column.synthetic, 0.5))
    ]
    traces += _hidden(column, labels, list(range(len(labels))), 0.94, upright=True)
    ends = sorted({0, len(labels) - 1}) if labels else []
    ticks = {"tickvals": ends, "ticktext": [words(column.labels[k], 14) for k in ends], "showgrid": False}
    return traces, {"x": {**ticks, "tickangle": 0}, "y": {"tickformat": "~%", "nticks": 4, "rangemode": "tozero"}}


def _categories(column: Marginal) -> tuple[list[Plot], Mapping[str, Plot]]:
    labels = [words(label, 28) for label in column.labels[:CATEGORIES_DRAWN]]
    n, rows = len(labels), list(range(len(labels)))
    traces = [
        _bars(name, [k + off for k in rows], shares[:n], labels, 0.38, upright=False)
        for name, shares, off in (("real", column.real, -0.2), ("synthetic", column.synthetic, 0.2))
    ]
    traces += _hidden(column, labels, [k - 0.2 for k in rows], 0.38, upright=False)
    more = len(column.labels) - n
    names = [words(label, 15) for label in column.labels[:n]]
    frame: Plot = {"tickvals": rows, "ticktext": names, "range": [n - 0.4, -0.6], "showgrid": False}
    below = {"title": {"text": f"{more} more categories in the table", "font": {"size": 11}}} if more > 0 else {}
    return traces, {"x": {"tickformat": "~%", "nticks": 4, "rangemode": "tozero", **below}, "y": frame}


def _bars(
    name: str, places: list[Any], shares: list[float | None], labels: list[str], width: float, *, upright: bool
) -> Plot:
    values = [brief(share) for share in shares]
    share = "y" if upright else "x"
    return {
        "type": "bar",
        "name": name,
        "orientation": "v" if upright else "h",
        **({"x": places, "y": values} if upright else {"x": values, "y": places}),
        "width": width,
        "hovertext": labels,
        "hovertemplate": f"%{{hovertext}}: %{{{share}:.1%}}<extra>{name}</extra>",
    }


def _hidden(column: Marginal, labels: list[str], places: list[Any], width: float, *, upright: bool) -> list[Plot]:
    """Real shares that are not told: of one small size, whatever they are."""
    top = max((s for s in (*column.real, *column.synthetic) if s is not None), default=1.0)
    size = 0.08 * (top or 1.0)
    at = [k for k in range(len(labels)) if column.real[k] is None]
    if not at:
        return []
    made = _bars("too few rows", [places[k] for k in at], [size] * len(at), [labels[k] for k in at], width,
                 upright=upright)  # fmt: skip
    return [{**made, "hovertemplate": "%{hovertext}: hidden, few real rows<extra>real</extra>"}]


def bars(data: Bars, palette: Palette) -> Plot:
    """Horizontal bars in the order of the panel, the value beside each."""
    labels, values = data.labels[:BARS_DRAWN], data.values[:BARS_DRAWN]
    rows = list(range(len(labels)))
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [brief(value) for value in values],
        "y": rows,
        "width": 0.62,
        "marker": {"color": palette.synthetic, "line": {"width": 0}},
        "text": [number(value) for value in values],
        "textposition": "outside",
        "textfont": {"color": palette.ink},
        "cliponaxis": False,
        "hovertext": [words(label, 80) for label in labels],
        "hovertemplate": "%{hovertext}: %{text}<extra></extra>",
    }
    y = {"tickvals": rows, "ticktext": [words(label) for label in labels], "range": [len(rows) - 0.4, -0.6]}
    return plot_of(
        [trace], palette, height=84 + 26 * max(1, len(rows)), least_width=300,
        xaxis={"title": {"text": words(data.value_title, 70)}, "zeroline": True, "zerolinecolor": palette.quiet},
        yaxis={**y, "automargin": True, "showgrid": False}, margin={"l": 24, "r": 56, "t": 16, "b": 48},
    )  # fmt: skip
