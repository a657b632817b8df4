"""Mosaics: groups by label, real rows left and the release right; an area is a share of the rows."""

from __future__ import annotations

from itertools import accumulate

from counterproof.reports.figures.panels import Mosaic, MosaicGroup
from counterproof.reports.figures.plots.theme import Palette, Plot, brief, caption, plot_of, words

GROUPS_DRAWN, LABELS_DRAWN = 16, 8
NAMED = 0.06  # a group of a smaller share has its name in the hover text alone
LETTERS = 52  # of a name as wide as all groups together
SLIVER = 0.012  # width of a group whose share is hidden


def mosaic(data: Mosaic, palette: Palette) -> Plot:
    """Columns as wide as the share of their group, tiles as tall as the share of their label in it."""
    groups = data.groups[:GROUPS_DRAWN]
    traces: list[Plot] = []
    axes: dict[str, Plot] = {}
    for at, side in enumerate(("real", "synthetic")):
        key = "" if at == 0 else "2"
        shares = [group.real if side == "real" else group.synthetic for group in groups]
        widths = [SLIVER if share is None else share for share in shares]
        ends = list(accumulate(widths))
        middles = [end - width / 2 for end, width in zip(ends, widths, strict=True)]
        colour = palette.real if side == "real" else palette.synthetic
        for k, label in enumerate(data.labels[:LABELS_DRAWN]):
            traces.append(
                {**_tiles(data, groups, k, side), "name": words(label, 24), "legendgroup": k, "showlegend": at == 1,
                 "x": [brief(middle) for middle in middles], "width": [max(0.0, width - 0.004) for width in widths],
                 "marker": {"color": colour, "line": {"width": 0}}, "opacity": _shade(k, data),
                 "xaxis": f"x{key}", "yaxis": f"y{key}"}
            )  # fmt: skip
        named = [k for k, width in enumerate(widths) if width >= NAMED]
        axes[f"xaxis{key}"] = {
            "domain": [0, 0.47] if at == 0 else [0.53, 1],
            "anchor": f"y{key}",
            "tickvals": [brief(middles[k]) for k in named],
            "ticktext": [f"{words(groups[k].name, int(LETTERS * widths[k]))}<br>{_percent(shares[k])}" for k in named],
            "tickangle": 0,
            "range": [0, brief(ends[-1]) if ends else 1],
            "showgrid": False,
        }
        axes[f"yaxis{key}"] = {"anchor": f"x{key}", "tickformat": "~%", "range": [0, 1], "nticks": 5}
    titles = [
        caption(f"<b>{title}, by {words(data.group_title, 30)}</b>", x=x, y=1.02)
        for title, x in (("real rows", 0), ("the release", 0.53))
    ]
    return plot_of(
        traces, palette, height=400, least_width=720, barmode="stack", annotations=titles, showlegend=True,
        legend={"title": {"text": words(data.label_title, 30)}, "y": 1.12, "traceorder": "normal"},
        margin={"l": 48, "r": 16, "t": 84, "b": 56}, **axes,
    )  # fmt: skip


def _shade(label: int, data: Mosaic) -> float:
    """From strong to faint in the order of the labels."""
    steps = max(1, min(len(data.labels), LABELS_DRAWN) - 1)
    return round(0.95 - 0.7 * min(1.0, label / steps), 2)


def _tiles(data: Mosaic, groups: list[MosaicGroup], label: int, side: str) -> Plot:
    heights: list[float | None] = []
    told: list[str] = []
    for group in groups:
        shares = group.real_labels if side == "real" else group.synthetic_labels
        whole, n = (group.real, group.n_real) if side == "real" else (group.synthetic, group.n_synthetic)
        share = None if whole is None else shares[label]
        heights.append(brief(share))
        rows = "its rows" if n is None else f"{n} rows"
        found = "too few real rows to show" if share is None else f"{_percent(share)} of {rows}"
        told.append(f"{words(group.name)}, {words(data.labels[label])}: {found}")
    return {"type": "bar", "y": heights, "hovertext": told, "hoverinfo": "text"}


def _percent(share: float | None) -> str:
    return "hidden" if share is None else f"{100 * share:.3g} %"
