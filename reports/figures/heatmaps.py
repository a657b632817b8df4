"""Heat maps: the cross table of share ratios, and the map of real rows under synthetic points."""

from __future__ import annotations

import math
from collections.abc import Iterable

from counterproof.reports.figures.axes import Axis
from counterproof.reports.figures.markup import Markup, drawing, element, hint
from counterproof.reports.figures.panels import Cell, Cells, Map
from counterproof.reports.judgement import number
from counterproof.reports.text import clipped, interval

ROWS_DRAWN, COLUMNS_DRAWN = 30, 14
CELL_WIDTH, CELL_HEIGHT = 92.0, 46.0
STRONGEST = 4.0  # a ratio of 4, or of 1/4, has the full colour
POINTS_DRAWN = 4000
SIDE, TALL = 640.0, 380.0


def draw_cells(data: Cells) -> Markup:
    """A heat map of ratios: 1 is the share of real data; thin and empty cells in one colour, others by how far off."""
    rows, columns = data.rows[:ROWS_DRAWN], data.columns[:COLUMNS_DRAWN]
    left, top = 150.0, 46.0
    parts = [
        element("text", clipped(data.column_title, 60), class_="tick", x=left, y=12.0),
        element("text", clipped(data.row_title, 22), class_="tick", x=0.0, y=36.0),
        *(_heading(left + (k + 0.5) * CELL_WIDTH, name) for k, name in enumerate(columns)),
        *(_side(top + (k + 0.5) * CELL_HEIGHT, name) for k, name in enumerate(rows)),
    ]
    for cell in data.cells:
        if cell.row < len(rows) and cell.column < len(columns):
            name = f"{data.rows[cell.row]} × {data.columns[cell.column]}"
            parts.append(_cell(cell, name, left + cell.column * CELL_WIDTH, top + cell.row * CELL_HEIGHT))
    label = f"Share in the release over share in real data: {data.row_title} by {data.column_title}"
    return drawing(left + CELL_WIDTH * len(columns) + 2, top + CELL_HEIGHT * len(rows) + 2, label, *parts)


def _heading(x: float, name: str) -> Markup:
    return element("text", hint(name), clipped(name, 12), class_="label", x=x, y=36.0, text_anchor="middle")


def _side(y: float, name: str) -> Markup:
    return element("text", hint(name), clipped(name, 22), class_="label", x=0.0, y=y + 4)


def _cell(cell: Cell, name: str, x: float, y: float) -> Markup:
    counts = f"{_count(cell.n_real)} real, {_count(cell.n_synthetic)} synthetic"
    tip = hint(f"{name}: {interval(cell.value, cell.low, cell.high)}, {counts}, {cell.state}")
    box = {"x": x + 1, "y": y + 1, "width": CELL_WIDTH - 2, "height": CELL_HEIGHT - 2}
    middle = x + CELL_WIDTH / 2
    hidden = "too few" if cell.state == "too few" else "–"
    value = "empty" if cell.state == "empty" else hidden if cell.value is None else number(cell.value)
    return element(
        "g",
        tip,
        element("rect", class_="cell", **box),
        _colour(cell, box),
        element("text", value, class_="label strong", x=middle, y=y + 20, text_anchor="middle"),
        element("text", _reach(cell), class_="tick", x=middle, y=y + 35, text_anchor="middle"),
    )


def _colour(cell: Cell, box: dict[str, float]) -> Markup:
    if cell.state == "too few":
        return element("rect", class_="hidden", fill_opacity="0.4", **box)
    if cell.state == "empty":
        return element("rect", class_="under", fill_opacity="0.5", **box)
    if cell.value is None:
        return Markup("")
    turn = math.log(max(cell.value, 1e-6)) / math.log(STRONGEST)
    strength = 0.5 * min(1.0, abs(turn))
    kind = "under" if cell.state == "thin" else "real"
    return element("rect", class_=kind, fill_opacity=f"{strength:.2f}", **box)


def _reach(cell: Cell) -> str:
    if cell.low is None or cell.high is None:
        return f"n {_count(cell.n_real)}"
    return f"{number(cell.low)} – {number(cell.high)}"


def _count(count: int | None) -> str:
    return "hidden" if count is None else str(count)


def draw_map(data: Map) -> Markup:
    """Real rows as shaded cells, synthetic rows as points before them."""
    x_axis = Axis(low=data.x_edges[0], high=data.x_edges[-1], start=44.0, end=44.0 + SIDE)
    y_axis = Axis(low=data.y_edges[0], high=data.y_edges[-1], start=TALL, end=4.0)
    bottom = TALL + 18
    return drawing(
        SIDE + 56,
        bottom + 22,
        f"Map of {len(data.x)} synthetic rows over real rows, {data.axes[0]} by {data.axes[1]}",
        *_shades(data, x_axis, y_axis),
        _points(data, x_axis, y_axis),
        *(element("text", number(t), class_="tick", x=x_axis(t), y=bottom - 2, text_anchor="middle")
          for t in x_axis.ticks()),
        *(element("text", number(t), class_="tick", x=38.0, y=y_axis(t) + 3, text_anchor="end")
          for t in y_axis.ticks()),
        element("text", clipped(data.axes[0], 60), class_="label", text_anchor="middle",
                x=44 + SIDE / 2, y=bottom + 16),
        element("text", clipped(data.axes[1], 40), class_="label", text_anchor="middle",
                transform=f"translate(10 {TALL / 2:.0f}) rotate(-90)"),
        class_="figure map",
    )  # fmt: skip


def _shades(data: Map, x_axis: Axis, y_axis: Axis) -> Iterable[Markup]:
    top = max((count for row in data.real for count in row if count), default=1)
    for j, row in enumerate(data.real):
        for i, count in enumerate(row):
            if count == 0:
                continue
            x, y = x_axis(data.x_edges[i]), y_axis(data.y_edges[j + 1])
            width, height = x_axis(data.x_edges[i + 1]) - x, y_axis(data.y_edges[j]) - y
            shade = None if count is None else f"{0.08 + 0.62 * math.sqrt(count / top):.2f}"
            tip = hint("few real rows: hidden" if count is None else f"{count} real rows")
            kind = "hidden" if count is None else "real"
            yield element("rect", tip, class_=kind, x=x, y=y, width=width, height=height, fill_opacity=shade)


def _points(data: Map, x_axis: Axis, y_axis: Axis) -> Markup:
    """All points as one path of dots: a tenth of the bytes of circles."""
    found = zip(data.x[:POINTS_DRAWN], data.y[:POINTS_DRAWN], strict=True)
    dots = "".join(f"M{x_axis(x):.1f} {y_axis(y):.1f}h0" for x, y in found if x is not None and y is not None)
    return element("path", class_="dots", d=dots or "M0 0")
