"""Curves: a release's curve in the band of real data against real data, beside the diagonal."""

from __future__ import annotations

from counterproof.reports.figures.panels import Curves
from counterproof.reports.figures.plots.theme import Palette, Plot, brief, plot_of, words
from counterproof.reports.judgement import number


def curves(data: Curves, palette: Palette) -> Plot:
    """The band first, the diagonal over it, the release over both."""
    x = [brief(value) for value in data.x]
    band = {
        "type": "scatter",
        "mode": "lines",
        "name": "real against real",
        "x": [*x, *x[::-1]],
        "y": [*(brief(value) for value in data.high), *(brief(value) for value in data.low[::-1])],
        "fill": "toself",
        "fillcolor": palette.quiet,
        "line": {"width": 0, "color": palette.quiet},
        "opacity": 0.28,
        "hoverinfo": "skip",
    }
    diagonal = {
        "type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "showlegend": False, "hoverinfo": "skip",
        "line": {"color": palette.quiet, "width": 1},
    }  # fmt: skip
    told = zip(data.x, data.release, data.low, data.high, strict=True)
    release = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "release",
        "x": x,
        "y": [brief(value) for value in data.release],
        "line": {"color": palette.synthetic, "width": 2},
        "marker": {"size": 4},
        "hovertext": [f"at {number(a)}: {number(b)}<br>real rows {number(c)} to {number(d)}" for a, b, c, d in told],
        "hoverinfo": "text",
    }
    return plot_of(
        [band, diagonal, release], palette, height=400, least_width=320, showlegend=True,
        xaxis={"title": {"text": words(data.x_title, 70)}}, yaxis={"title": {"text": words(data.y_title, 50)}},
    )  # fmt: skip
