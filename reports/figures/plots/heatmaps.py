"""Heat maps: real rows under synthetic points, and the cross table of share ratios."""

from __future__ import annotations

import math

from counterproof.reports.figures.panels import Cell, Cells, Map
from counterproof.reports.figures.plots.theme import Palette, Plot, brief, plot_of, words
from counterproof.reports.judgement import number
from counterproof.reports.text import interval

POINTS_DRAWN = 4000
ROWS_DRAWN, COLUMNS_DRAWN = 30, 14
STRONGEST = 4.0  # a ratio of 4, or of 1/4, has the full colour


def data_map(data: Map, palette: Palette) -> Plot:
    """Counts of real rows as shades, synthetic rows as points over them."""
    shown = [[None if count == 0 else count for count in row] for row in data.real]
    hidden = [[1 if count is None else None for count in row] for row in data.real]
    x, y = (_points(values) for values in (data.x, data.y))
    points = {
        "type": "scatter",
        "mode": "markers",
        "name": "synthetic",
        "x": x,
        "y": y,
        "marker": {"size": 4, "opacity": 0.55, "color": palette.synthetic},
        "hovertemplate": "%{x:.3g}, %{y:.3g}<extra>synthetic</extra>",
    }
    faint = _shades(data, hidden, [palette.shade_0, palette.shade_0], "few real rows: hidden")
    return plot_of(
        [{**faint, "opacity": 0.5}, _shades(data, shown, [palette.shade_0, palette.shade_1], "%{z} real rows"), points],
        palette, height=440, least_width=300, margin={"l": 56, "r": 12, "t": 12, "b": 48},
        xaxis={"title": {"text": words(data.axes[0], 70)}, "ticks": ""},
        yaxis={"title": {"text": words(data.axes[1], 50)}, "ticks": ""},
    )  # fmt: skip


def _points(values: list[float | None]) -> list[float | None]:
    return [brief(value) for value in values[:POINTS_DRAWN]]


def _shades(data: Map, rows: list[list[int | None]], colours: list[str], told: str) -> Plot:
    return {
        "type": "heatmap",
        "x": [brief(edge) for edge in data.x_edges],
        "y": [brief(edge) for edge in data.y_edges],
        "z": rows,
        "showscale": False,
        "colorscale": [[0, colours[0]], [1, colours[1]]],
        "hovertemplate": f"{told}<extra></extra>",
        "hoverongaps": False,
    }


def cells(data: Cells, palette: Palette) -> Plot:
    """Ratios of shares: 1 is that of real data; missing and thin cells in one colour, the others by size alone."""
    rows, columns = data.rows[:ROWS_DRAWN], data.columns[:COLUMNS_DRAWN]
    shown = [cell for cell in data.cells if cell.row < len(rows) and cell.column < len(columns)]
    strengths: list[list[float | None]] = [[None] * len(columns) for _ in rows]
    texts, hovers = [[""] * len(columns) for _ in rows], [[""] * len(columns) for _ in rows]
    for cell in shown:
        strengths[cell.row][cell.column] = brief(strength(cell), 3)
        texts[cell.row][cell.column] = _text(cell)
        name = f"{words(data.rows[cell.row])} × {words(data.columns[cell.column])}"
        counts = f"{_count(cell.n_real)} real, {_count(cell.n_synthetic)} synthetic"
        hovers[cell.row][cell.column] = (
            f"{name}: {interval(cell.value, cell.low, cell.high)}<br>{counts}<br>{cell.state}"
        )
    scale = [[0, palette.under], [0.5, palette.wash], [1, palette.real]]
    heat = {
        "type": "heatmap",
        "x": list(range(len(columns))),
        "y": list(range(len(rows))),
        "z": strengths,
        "zmin": -2,  # half the strength: words must stay readable on every colour
        "zmax": 2,
        "colorscale": scale,
        "showscale": False,
        "text": texts,
        "texttemplate": "%{text}",
        "textfont": {"color": palette.ink},
        "hovertext": hovers,
        "hovertemplate": "%{hovertext}<extra></extra>",
        "xgap": 2,
        "ygap": 2,
    }
    names = {"x": [words(name, 16) for name in columns], "y": [words(name, 24) for name in rows]}
    return plot_of(
        [heat], palette, height=90 + 46 * max(1, len(rows)), least_width=160 + 84 * len(columns),
        margin={"l": 24, "r": 12, "t": 60, "b": 12},
        xaxis={"title": {"text": words(data.column_title, 60)}, "side": "top", "showgrid": False, "ticks": "",
               "tickvals": heat["x"], "ticktext": names["x"]},
        yaxis={"title": {"text": words(data.row_title, 30)}, "showgrid": False, "automargin": True, "ticks": "",
               "tickvals": heat["y"], "ticktext": names["y"], "range": [len(rows) - 0.5, -0.5]},
    )  # fmt: skip


def strength(cell: Cell) -> float | None:
    """How strongly a cell is coloured: from -1, missing, over 0, as in real data, to 1, far off but not thin."""
    if cell.state == "empty":
        return -1.0
    if cell.state == "too few" or cell.value is None:
        return 0.0
    turn = min(1.0, abs(math.log(max(cell.value, 1e-6)) / math.log(STRONGEST)))
    return -turn if cell.state == "thin" else turn


def _text(cell: Cell) -> str:
    if cell.state == "too few":
        return "too few"
    if cell.value is None:
        return "–"
    reach = "" if cell.low is None or cell.high is None else f"<br>{number(cell.low)} – {number(cell.high)}"
    return f"<b>{'empty' if cell.state == 'empty' else number(cell.value)}</b>{reach}"


def _count(count: int | None) -> str:
    return "hidden" if count is None else str(count)
