"""Closest pairs: synthetic rows and how far the nearest real row is; contents only where they may be shown."""

from __future__ import annotations

from collections.abc import Mapping

from counterproof.reports.figures.closest_pairs import PAIRS_DRAWN, is_png
from counterproof.reports.figures.panels import Pair, Pairs
from counterproof.reports.figures.plots.theme import Palette, Plot, brief, caption, cells_of_grid, plot_of, words
from counterproof.reports.judgement import number
from counterproof.reports.text import cell_text

FIELDS_DRAWN = 40
ACROSS = 6  # pairs of images in a row


def pairs(data: Pairs, palette: Palette, *, reveal: bool) -> Plot:
    """Both sides where ``reveal``; else synthetic rows that copy no real one, or where there are none, distances."""
    shown, bare = data.pairs[:PAIRS_DRAWN], reveal and not data.redacted
    if not bare and not any(pair.synthetic_shown for pair in shown):
        return _distances(shown, palette)
    draw = _images if data.modality == "image" else _columns
    return draw(shown, palette, bare=bare)


def _name(pair: Pair) -> str:
    return f"{words(pair.synthetic, 24)} – {words(pair.real, 24)}"


def _told(pair: Pair) -> str:
    agree = "" if pair.agree is None or pair.of is None else f", {pair.agree} of {pair.of} columns agree"
    note = f"{words(pair.note, 60)}: " if pair.note else ""
    return f"{note}{'exact copy' if pair.exact else f'distance {number(pair.distance)}'}{agree}"


def _rows(shown: list[Pair]) -> Plot:
    return {
        "tickvals": list(range(len(shown))),
        "ticktext": [_name(pair) for pair in shown],
        "range": [len(shown) - 0.4, -0.6],
        "automargin": True,
        "title": {"text": "synthetic – real"},
    }


def _distances(shown: list[Pair], palette: Palette) -> Plot:
    farthest = max((pair.distance for pair in shown if pair.distance is not None), default=0.0) or 1.0
    ends = [brief(-0.03 * farthest), brief(1.06 * farthest)]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [0.0 if pair.exact and pair.distance is None else brief(pair.distance) for pair in shown],
        "y": list(range(len(shown))),
        "marker": {"size": 9, "color": [palette.under if pair.exact else palette.synthetic for pair in shown]},
        "hovertext": [f"{_name(pair)}<br>{_told(pair)}" for pair in shown],
        "hoverinfo": "text",
    }
    return plot_of(
        [trace], palette, height=96 + 24 * max(1, len(shown)), least_width=480,
        xaxis={"title": {"text": "distance; contents are hidden"}, "range": ends}, yaxis=_rows(shown),
        margin={"l": 24, "r": 16, "t": 16, "b": 48},
    )  # fmt: skip


def _columns(shown: list[Pair], palette: Palette, *, bare: bool) -> Plot:
    """Where both rows agree, the value; where they differ, both values; of the real one only where ``bare``."""
    made = [(pair.synthetic_record or {}) if bare or pair.synthetic_shown else {} for pair in shown]
    real = [(pair.real_record or {}) if bare else {} for pair in shown]
    names = list(dict.fromkeys(name for record in (*made, *real) for name in record))[:FIELDS_DRAWN]
    differ = [
        [float(bare and one.get(name) != other.get(name)) for name in names]
        for one, other in zip(made, real, strict=True)
    ]
    told = [
        [_both(_value(one, name), _value(other, name) if bare else None) for name in names]
        for one, other in zip(made, real, strict=True)
    ]
    heat = {
        "type": "heatmap",
        "x": list(range(len(names))),
        "y": list(range(len(shown))),
        "z": differ,
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, palette.line], [1, palette.wash]],
        "showscale": False,
        "text": [[value.replace(" → ", "<br>→ ") for value in row] for row in told],
        "texttemplate": "%{text}",
        "textfont": {"size": 10, "color": palette.ink},
        "hovertext": [
            [
                f"{_name(pair)}<br>{words(name)}: {value}<br>{_told(pair)}"
                for name, value in zip(names, row, strict=True)
            ]
            for pair, row in zip(shown, told, strict=True)
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "xgap": 2,
        "ygap": 2,
    }
    x = {"tickvals": heat["x"], "ticktext": [words(name, 18) for name in names], "side": "top", "tickangle": -40}
    return plot_of(
        [heat], palette, height=140 + 34 * max(1, len(shown)), least_width=240 + 70 * len(names),
        xaxis={**x, "automargin": True, "showgrid": False}, yaxis={**_rows(shown), "showgrid": False},
        margin={"l": 24, "r": 40, "t": 90, "b": 16},
    )  # fmt: skip


def _value(record: Mapping[str, object], name: str) -> str:
    return words(cell_text(record[name]), 40) if name in record else "hidden"


def _both(made: str, real: str | None) -> str:
    return made if real is None or made == real else f"{made} → {real}"


def _images(shown: list[Pair], palette: Palette, *, bare: bool) -> Plot:
    """The synthetic image above the real one where both may be shown; else the synthetic one alone."""
    rows, sides = max(1, -(-len(shown) // ACROSS)), 2 if bare else 1
    whole = 150 * sides * rows + 34 * (rows - 1)
    pictures: list[Plot] = []
    texts: list[Plot] = []
    for pair, (x, y) in zip(shown, cells_of_grid(len(shown), ACROSS, gap_x=0.02, gap_y=34 / whole), strict=True):
        tall = (y[1] - y[0]) / sides
        visible = [pair.synthetic_image, pair.real_image] if bare else [pair.synthetic_image] * pair.synthetic_shown
        for k, encoded in enumerate(visible):
            if encoded is not None and is_png(encoded):
                pictures.append(
                    {"source": f"data:image/png;base64,{encoded}", "xref": "paper", "yref": "paper", "x": x[0],
                     "y": brief(y[1] - k * tall), "sizex": brief(x[1] - x[0]), "sizey": brief(0.96 * tall)}
                )  # fmt: skip
        told = "exact copy" if pair.exact else f"distance {number(pair.distance)}"
        hover = f"{_name(pair)}<br>{_told(pair)}"
        told = told if visible else f"hidden, {told}"
        texts.append(caption(told, x=x[0], y=y[0], yanchor="top", font={"size": 11}, hovertext=hover))
    off = {"visible": False}
    return plot_of(
        [], palette, height=whole + 56, least_width=640, images=pictures, annotations=texts, xaxis=off, yaxis=off,
        margin={"l": 16, "r": 16, "t": 16, "b": 40},
    )  # fmt: skip
