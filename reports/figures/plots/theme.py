"""The theme of interactive figures: colours, fonts, and text that plotly shows as text.

A plot is plain data, ``{"data": [traces], "layout": {...}}``, so that nothing here imports plotly: ``plotly.js`` draws
it in the report, and ``plotly.graph_objects.Figure`` takes it in Python.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

from counterproof.reports.text import clipped

Plot = dict[str, Any]
Theme = Literal["light", "dark"]
TRACES = ("bar", "heatmap", "scatter")
"""Types of plotly.js traces that figures use; the vendored bundle has them."""
LABEL = 34  # letters of a label beside an axis
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
# Plotly reads tags, entities and TeX in texts; of these signs it takes the number of the letter as the letter.
_SIGNS = {ord(sign): f"&#{ord(sign)};" for sign in "\"'$"} | {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours by their role; the same names as the variables of the report's style sheet.

    Attributes:
        paper: Behind the figure.
        wash: Behind a tile.
        ink: Text.
        quiet: Text of ticks, and the floor.
        line: Lines of the grid.
        real: Real rows.
        synthetic: Synthetic rows.
        over: More than in real data.
        under: Less than in real data.
        shade_0: Few real rows on a map.
        shade_1: Many of them.
        passes: Inside a limit.
    """

    paper: str
    wash: str
    ink: str
    quiet: str
    line: str
    real: str
    synthetic: str
    over: str
    under: str
    shade_0: str
    shade_1: str
    passes: str


VARIABLES: Mapping[str, str] = {field.name: f"--{field.name.replace('_', '-')}" for field in fields(Palette)} | {
    "passes": "--pass"
}
"""Colours of a palette, and the variables of ``style.css`` that hold them."""
PAGE = Palette(**{name: f"var({variable})" for name, variable in VARIABLES.items()})
"""The report's own variables, which ``report.js`` puts in: light or dark as the reader has it."""


@cache
def palette_of(theme: Theme) -> Palette:
    """The colours of the report's style sheet for light or dark paper.

    Raises:
        ValueError: There is no such theme.
    """
    if theme not in get_args(Theme):
        raise ValueError(f"theme {theme!r}: there are {' and '.join(get_args(Theme))}")
    style = resources.files("counterproof.reports").joinpath("templates", "style.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[get_args(Theme).index(theme)]
    colours = dict(re.findall(r"(--[a-z0-9-]+): (#[0-9a-f]{6})", block))
    return Palette(**{name: colours[variable] for name, variable in VARIABLES.items()})


def words(text: object, length: int = LABEL) -> str:
    """A text from the data, cut to length, in which plotly finds neither tags, links nor formulas.

    >>> words("<b>5$"), words("a" * 50, 5)
    ('&lt;b&gt;5&#36;', 'aaaa…')
    """
    return clipped(text, length).translate(_SIGNS)


def brief(value: float | None, digits: int = 4) -> float | None:
    """A number with so many significant digits; None where there is none."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")


def plot_of(
    traces: Sequence[Mapping[str, Any]], palette: Palette, *, height: float, least_width: int = 0, **layout: Any
) -> Plot:
    """A plot in the house theme.

    Args:
        traces: What it shows.
        palette: Its colours.
        height: In pixels.
        least_width: Below it the page keeps the drawing, whose parts move below each other.
        layout: The rest of its layout.
    """
    axis = {
        "gridcolor": palette.line,
        "linecolor": palette.line,
        "zeroline": False,
        "tickfont": {"color": palette.quiet, "size": 11},
        "title": {"font": {"color": palette.quiet, "size": 12}, "standoff": 8},
    }
    paper = "rgba(0,0,0,0)" if palette is PAGE else palette.paper
    theme = {
        "font": {"color": palette.ink, "family": FONT, "size": 12},
        "paper_bgcolor": paper,
        "plot_bgcolor": paper,
        "hoverlabel": {"bgcolor": palette.paper, "bordercolor": palette.line, "font": {"color": palette.ink}},
        "xaxis": axis,
        "yaxis": axis,
        "showlegend": False,
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"color": palette.quiet}},
        "margin": {"l": 56, "r": 16, "t": 32, "b": 48},
        "hovermode": "closest",
    }
    return {
        "data": [dict(trace) for trace in traces],
        "layout": {
            "template": {"layout": theme},
            "height": round(height),
            "meta": {"least_width": least_width},
            **layout,
        },
    }


def caption(text: str, *, x: float, y: float, **more: Any) -> Plot:
    """A line of text at a place of the figure, as shares of its width and height; the text is markup of the house."""
    place = {"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    return {"text": text, "x": brief(x), "y": brief(y), **place, **more}


def cells_of_grid(count: int, columns: int, *, gap_x: float, gap_y: float) -> list[tuple[list[float], list[float]]]:
    """Where so many small charts stand: their extents across and up, row by row from the top."""
    rows = max(1, math.ceil(count / columns))
    wide, tall = (1 - gap_x * (columns - 1)) / columns, (1 - gap_y * (rows - 1)) / rows
    places = []
    for at in range(count):
        left, top = (at % columns) * (wide + gap_x), 1 - (at // columns) * (tall + gap_y)
        places.append(([round(left, 4), round(left + wide, 4)], [round(max(0.0, top - tall), 4), round(top, 4)]))
    return places
